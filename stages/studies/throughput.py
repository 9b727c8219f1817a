"""Measure images per second and peak memory of every batch size -> studies/throughput.json.

They differ from run to run, so only the table of claims and the report may read them.
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch

from src import paths
from src.cli import InputError, progress, run
from src.models import make_network
from src.params import read_params
from src.storage.dataset import load_split, read_info
from src.storage.files import write_json
from src.studies.runs import Rows, take
from src.training.device import device_name, set_up_device
from src.training.loop import train

ROUNDS = 2  # over all sizes in turn, since a machine's speed drifts
SECONDS, MOST_EPOCHS = 1, 64  # of a measurement
LR = 1e-8  # the time does not depend on it, and at this one no size diverges


def main() -> None:
    study = read_params().studies.batch_size
    sizes = [*study.values] * ROUNDS
    # A new process for every measurement: a peak of memory cannot be taken back, and in a forked
    # process, pages that are no longer shared would count.
    context, runs = multiprocessing.get_context("spawn"), []
    with (
        ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool,
        progress(len(sizes), "throughput", "run") as advance,
    ):
        for run_ in pool.map(measured, sizes):
            runs.append(run_)
            advance(1)
    write_json(paths.THROUGHPUT, {"model": study.model, "runs": runs})


def measured(size: int | str) -> dict[str, float | str]:
    """Return images_per_second without the set-up, and peak_memory_mb, by which training raised
    the peak of the process (on a GPU: of PyTorch)."""
    import torch._dynamo  # torch.optim does so at its first step: 90 MB, which are not training's

    params, info = read_params(), read_info()
    name = params.studies.batch_size.model
    arch, recipe = params.models[name].arch, params.recipe(name)
    device = set_up_device(recipe.threads)
    split = load_split("train", info)
    n_rows = len(split.labels)
    batch_size = n_rows if size == "all" else min(int(size), n_rows)
    changes = {"lr": LR, "batch_size": batch_size, "validation": 0, "patience": None}
    # In memory: pages of a mapped file count too.
    mapped = Rows(torch.from_numpy(split.images), torch.from_numpy(split.labels))
    rows = take(mapped, np.arange(n_rows))

    def seconds(epochs: int) -> float:
        network = make_network(arch, info.image_shape, len(info.classes), 0).to(device)
        started = time.perf_counter()
        train(network, *rows, recipe.model_copy(update={**changes, "epochs": epochs}), quiet=True)
        return time.perf_counter() - started

    before = peak_memory(device)
    seconds(1)  # the first of full size also asks for memory
    set_up, epochs = seconds(1), 1  # and one epoch
    while (took := seconds(1 + epochs) - set_up) < SECONDS and epochs < MOST_EPOCHS:
        epochs *= 4
    return {
        "batch_size": batch_size,
        "images_per_second": epochs * n_rows / took,
        "peak_memory_mb": (peak_memory(device) - before) / 1e6,
        "device": device_name(device),
    }


def peak_memory(device: torch.device) -> int:
    """Return the peak in bytes of this process; on a GPU, of what PyTorch allocated there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        raise InputError("peak memory is not available on Windows; use WSL")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    run(main)
