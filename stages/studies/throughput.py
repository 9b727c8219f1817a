"""Measure images per second and peak memory of every batch size -> studies/throughput.json.

They differ from run to run, so only the table of claims and the report may read them.
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

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
    sizes = [size for _ in range(ROUNDS) for size in study.values]
    # A new process for every measurement: a peak of memory cannot be taken back, and in a forked
    # process, pages that are no longer shared would count.
    context = multiprocessing.get_context("spawn")
    runs = []
    with (
        ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool,
        progress(len(sizes), "throughput", "run") as advance,
    ):
        for run_ in pool.map(measured, [study.model] * len(sizes), sizes):
            runs.append(run_)
            advance(1)
    write_json(paths.THROUGHPUT, {"model": study.model, "runs": runs})


def measured(name: str, size: int | str) -> dict[str, float | str]:
    """Return images_per_second without the set-up, and peak_memory_mb, by which training raised
    the peak of the process (on a GPU: of PyTorch)."""
    import torch._dynamo  # torch.optim does so at its first step: 90 MB, which are not training's

    params, info = read_params(), read_info()
    arch, recipe = params.models[name].arch, params.recipe(name)
    device = set_up_device(recipe.threads)
    split = load_split("train", info)
    mapped = Rows(torch.from_numpy(split.images), torch.from_numpy(split.labels))
    n_rows = len(mapped.y)
    batch_size = n_rows if size == "all" else min(int(size), n_rows)
    recipe = recipe.model_copy(
        update={"lr": LR, "batch_size": batch_size, "validation": 0, "patience": None}
    )

    def seconds(epochs: int, rows: Rows) -> float:
        network = make_network(arch, info.image_shape, len(info.classes), 0).to(device)
        started = time.perf_counter()
        train(network, *rows, recipe.model_copy(update={"epochs": epochs}), quiet=True)
        return time.perf_counter() - started

    rows = take(mapped, torch.arange(n_rows))  # in memory: pages of a mapped file count too
    before = peak_memory(device)
    seconds(1, rows)  # the first of full size also asks for memory
    set_up, epochs = seconds(1, rows), 1  # and one epoch
    while (took := seconds(1 + epochs, rows) - set_up) < SECONDS and epochs < MOST_EPOCHS:
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
