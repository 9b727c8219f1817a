"""Images a second and peak memory of every batch size, side by side in one run.

They differ from run to run, so nothing but the table of claims may read them.
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from tqdm import tqdm

from src.arrays import read_array, read_images
from src.cli import InputError, run
from src.device import made_by, set_up_device
from src.files import write_json
from src.meta import read_meta
from src.networks import NETWORKS
from src.params import read_params
from src.training import train

FLAT = Path("data/flat")
SCALED = Path("data/scaled")
OUT = Path("studies/throughput.json")
ROUNDS = 2  # over all sizes in turn, since a machine's speed drifts
EPOCHS = 2
LR = 1e-8  # a rate changes no time, and at this one no size diverges


def main() -> None:
    study = read_params().studies.batch_size
    sizes = [size for _ in range(ROUNDS) for size in study.values]
    # A new process for every measurement: a peak of memory cannot be taken back, and in a forked
    # process pages that are shared no more would count.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        found = [
            pool.submit(measured, study.model, size).result() for size in tqdm(sizes, disable=None)
        ]
    write_json(OUT, {"model": study.model, "runs": found})


def measured(name: str, size: int | str) -> dict[str, float | str]:
    """One batch size: images_per_second, setting up the training included, after a first epoch;
    and peak_memory_mb, by which the process's (on a GPU PyTorch's) peak grew while it trained."""
    params = read_params()
    model, training = params.models[name], params.training(name)
    meta = read_meta(FLAT / "meta.json")
    device = set_up_device(training.threads, tf32=training.precision == "tf32")
    images = torch.from_numpy(read_images(SCALED / "x_train.npy", meta.image_shape))
    # In memory beforehand, as pages of a mapped file count too; an axis of stride 0 stays one.
    once = images[:, :1] if images.stride(1) == 0 else images
    x = once.clone().expand(images.shape)
    y = torch.from_numpy(read_array(FLAT / "y_train.npy"))
    network = NETWORKS[model.arch](meta.image_shape, len(meta.classes)).to(device)
    batch_size = len(y) if size == "all" else min(int(size), len(y))

    def train_for(epochs: int) -> None:
        train(
            network,
            x,
            y,
            lr=LR,
            batch_size=batch_size,
            epochs=epochs,
            shuffle=training.shuffle,
            seed=training.seed,
            bf16=training.precision == "bf16",
        )

    before = peak_memory(device)
    train_for(1)
    started = time.perf_counter()
    train_for(EPOCHS)
    record = made_by(device, started)
    return {
        "batch_size": batch_size,
        "images_per_second": EPOCHS * len(y) / float(record["seconds"]),
        "peak_memory_mb": (peak_memory(device) - before) / 1e6,
        "device": record["device"],
    }


def peak_memory(device: torch.device) -> int:
    """Bytes that this process held at most so far; on a GPU those that PyTorch gave out there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        raise InputError("the peak of memory is not to be had on Windows; use WSL")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    run(main)
