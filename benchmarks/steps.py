"""Print the milliseconds per training step of a model, ours or the notebook's.

`python -m benchmarks.steps MODEL RECIPE STEPS [--threads T]` in a workspace whose rows are loaded
and scaled. `plain` is the notebook's loop, `resident` the same with all rows on the device. Each
measurement is a process of its own, as a stage is: the allocator's settings hold for a whole
process, and what a model leaves in it slows the next one.
"""

import argparse
import statistics
import time

import torch
from benchmarks.notebook import plain_step

from mri_stages.config.loading import read_params
from mri_stages.models import make_network
from mri_stages.storage.dataset import load_scaled, read_info
from mri_stages.training.device import (
    has_gpu,
    set_up_device,
    use_precision,
)
from mri_stages.training.loop import TrainingRun

RECIPES = ("plain", "resident", "ours", "ours_tf32", "ours_bf16")
WARM_UP = 3
GPU_SECONDS = 2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("steps", type=int)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.recipe.startswith("ours"):
        device = set_up_device(arguments.threads)
    else:
        torch.set_num_threads(arguments.threads)
        torch.backends.cudnn.allow_tf32 = False  # as ours: else a GPU would not multiply alike
        device = torch.device("cuda:0" if has_gpu() else "cpu")
    _, _, precision = arguments.recipe.partition("_")
    with use_precision(precision or "float32"):
        print(step_ms(arguments.model, arguments.recipe, arguments.steps, device))


def step_ms(name: str, recipe: str, n_steps: int, device: torch.device) -> float:
    """Return the median step after the warm-up; on a GPU, where the host runs ahead, the mean."""
    params, info = read_params(), read_info()
    arch, model = params.models[name].arch, params.models[name]
    rows = load_scaled("train", info)
    x, y = torch.from_numpy(rows.images), torch.from_numpy(rows.labels)
    network = make_network(arch, info.image_shape, len(info.classes), seed=0).to(device)
    ours = recipe.startswith("ours")
    if ours:
        _, _, precision = recipe.partition("_")
        model = model.model_copy(update={"precision": precision or "float32"})
        run = TrainingRun(network, x, y, model)
        assert run.condensed is not None  # the notebook's networks can be condensed
        x, y, step = run.images, run.labels, run.step
    else:
        step = plain_step(network, model.lr, device)
        n_rows = min(len(x), (WARM_UP + n_steps) * model.batch_size)
        x, y = x[:n_rows].contiguous(), y[:n_rows]  # the notebook holds all channels in memory
        if recipe == "resident":
            x, y = x.to(device), y.to(device)
    losses = torch.empty(n_steps + WARM_UP, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)

    def one_step(i: int) -> None:
        """Take a step and, in ours, do with it what the training loop does."""
        nonlocal correct
        images, labels = batches[i % len(batches)]
        loss, right = step(images.clone() if ours else images, labels)
        if ours:
            losses[i] = loss
            correct += right

    batches = list(zip(x.split(model.batch_size), y.split(model.batch_size), strict=True))
    if len(y) % model.batch_size:
        batches.pop()  # full batches only
    if device.type == "cuda":
        spent = 0.0
        while spent < GPU_SECONDS:  # its clocks rise within the first one
            torch.cuda.synchronize()
            started = time.perf_counter()
            for i in range(n_steps):
                one_step(i)
            torch.cuda.synchronize()
            last = time.perf_counter() - started
            spent += last
        seconds = [last / n_steps]
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
