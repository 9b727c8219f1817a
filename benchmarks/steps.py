"""Seconds a full batch takes to train one model, ours or the notebook's; prints them as JSON.

`python -m benchmarks.steps MODEL {ours,plain} FOLDER STEPS [--threads T]`, FOLDER being a workspace
with data/flat and data/scaled. A process of its own: the allocator is set for a whole process.
"""

import argparse
import json
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
    model = read_params().models[arguments.model]
    data = arguments.folder / "data"
    meta = read_meta(data / "flat/meta.json")
    x = torch.from_numpy(read_images(data / "scaled/x_train.npy", meta.image_shape))
    y = torch.from_numpy(read_array(data / "flat/y_train.npy"))
    torch.manual_seed(0)
    network = NETWORKS[model.arch](meta.image_shape, len(meta.classes))
    if arguments.recipe == "ours":
        device = set_up_device(arguments.threads)
        x, y = to_device_if_it_fits(x, device), y.to(device)
        twin = Twin(network.to(device), x, model.lr)
        step = sgd_step(twin, model.lr)
        step = graphed(step, twin) if device.type == "cuda" else step
        x = x[:, : twin.channels]
    else:
        torch.set_num_threads(arguments.threads)
        device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        step = plain_step(network.to(device), model.lr, device)
        n_rows = min(len(x), (WARM_UP + arguments.steps) * model.batch_size)
        x, y = x[:n_rows].contiguous(), y[:n_rows]  # the notebook holds all channels in memory
    watch = LossWatch() if arguments.recipe == "ours" else None
    losses = torch.empty(arguments.steps + WARM_UP, device=device)
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
    seconds = []
    if device.type == "cuda":  # the host runs ahead of a GPU, so only all steps can be timed
        for timed in (False, True):
            torch.cuda.synchronize()
            started = time.perf_counter()
            for i in range(arguments.steps):
                one_step(i)
            torch.cuda.synchronize()
            if timed:
                seconds.append((time.perf_counter() - started) / arguments.steps)
    else:
        for i in range(WARM_UP + arguments.steps):
            started = time.perf_counter()
            one_step(i)
            seconds.append(time.perf_counter() - started)
        del seconds[:WARM_UP]
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
