"""Milliseconds that a full batch takes to train a model, ours or the notebook's.

`python -m benchmarks.steps MODEL {ours,plain} FOLDER STEPS [--threads T]`, FOLDER being a workspace
with data/flat and data/scaled. A process of its own, as a stage is: the allocator is set for all of
one, and what a model before left in it slows the next.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from benchmarks.notebook import plain_step
from src.arrays import read_array, read_images
from src.device import LossWatch, graphed, set_up_device, to_device_if_it_fits
from src.folding import Twin
from src.meta import read_meta
from src.networks import NETWORKS
from src.params import read_params
from src.training import sgd_step

WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("recipe", choices=["ours", "plain"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("steps", type=int)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.recipe == "ours":
        device = set_up_device(arguments.threads)
    else:
        torch.set_num_threads(arguments.threads)
        torch.backends.cudnn.allow_tf32 = False  # as ours: else a GPU would not multiply alike
        device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    data = arguments.folder / "data"
    print(step_ms(arguments.model, arguments.recipe, data, arguments.steps, device))


def step_ms(name: str, recipe: str, data: Path, n_steps: int, device: torch.device) -> float:
    """The median step after the warm-up; on a GPU, where the host runs ahead, the mean of all."""
    model = read_params().models[name]
    meta = read_meta(data / "flat/meta.json")
    x = torch.from_numpy(read_images(data / "scaled/x_train.npy", meta.image_shape))
    y = torch.from_numpy(read_array(data / "flat/y_train.npy"))
    torch.manual_seed(0)
    network = NETWORKS[model.arch](meta.image_shape, len(meta.classes)).to(device)
    if recipe == "ours":
        x, y = to_device_if_it_fits(x, device), y.to(device)
        twin = Twin(network, x, model.lr)
        step = sgd_step(twin, model.lr)
        step = graphed(step, twin) if device.type == "cuda" else step
        x = x[:, : twin.channels]
    else:
        step = plain_step(network, model.lr, device)
        n_rows = min(len(x), (WARM_UP + n_steps) * model.batch_size)
        x, y = x[:n_rows].contiguous(), y[:n_rows]  # the notebook holds all channels in memory
    watch = LossWatch() if recipe == "ours" else None
    losses = torch.empty(n_steps + WARM_UP, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)

    def one_step(i: int) -> None:
        """A step and, in ours, what the training loop does with it."""
        nonlocal correct
        loss, right = step(*batches[i % len(batches)])
        if watch is not None:
            losses[i] = loss
            correct += right
            watch.saw_nan(loss)

    batches = list(zip(x.split(model.batch_size), y.split(model.batch_size), strict=True))
    if len(y) % model.batch_size:
        batches.pop()  # full batches only
    if device.type == "cuda":
        for _ in range(2):  # the first is the warm-up
            torch.cuda.synchronize()
            started = time.perf_counter()
            for i in range(n_steps):
                one_step(i)
            torch.cuda.synchronize()
            seconds = [(time.perf_counter() - started) / n_steps]
    else:
        seconds = []
        for i in range(WARM_UP + n_steps):
            started = time.perf_counter()
            one_step(i)
            seconds.append(time.perf_counter() - started)
        del seconds[:WARM_UP]
    return 1000 * statistics.median(seconds)


if __name__ == "__main__":
    main()
