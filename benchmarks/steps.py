"""Print the milliseconds per training step of a model, by ours or by the notebook's recipe.

`python -m benchmarks.steps MODEL RECIPE STEPS` in a workspace whose rows are loaded and scaled.
`plain` is the notebook's loop, `resident` the same with all rows on the device. Each measurement is
a process of its own, as a stage is: the allocator's settings hold for a whole process, and what a
model leaves in it slows the next one.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any, NamedTuple

import torch

from benchmarks.notebook import make_plain_step
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Model
from mri_stages.storage.dataset import Info, LabelledImages, load_scaled, read_info
from mri_stages.training.cuda_graphs import Step
from mri_stages.training.device import has_gpu, set_up_device, use_precision
from mri_stages.training.fit import build_network
from mri_stages.training.loop import TrainingRun

# The name of a recipe, and what it changes in the recipe of a model.
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {"precision": "float32"},
    "resident": {"precision": "float32"},
    "ours": {"precision": "float32"},
    "ours_graphs": {"precision": "float32", "cuda_graphs": True},
    "ours_tf32": {"precision": "tf32"},
    "ours_bf16": {"precision": "bf16"},
}
N_THREADS = 2
N_WARM_UP_STEPS = 3
MIN_GPU_SECONDS = 2  # the clocks of a GPU rise within the first second


class Batch(NamedTuple):
    images: torch.Tensor
    labels: torch.Tensor


class Stepper(NamedTuple):
    """Training steps that are ready to be timed."""

    take_step: Callable[[Batch], None]
    batches: list[Batch]  # full ones only


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("steps", type=int)
    arguments = parser.parse_args()

    changes = RECIPES[arguments.recipe] | {"threads": N_THREADS}
    model = read_params().models[arguments.model].model_copy(update=changes)
    info = read_info()
    data = load_scaled("train", info)
    if arguments.recipe.startswith("ours"):
        stepper = prepare_ours(model, data, info)
    else:
        is_resident = arguments.recipe == "resident"
        stepper = prepare_plain(model, data, info, is_resident, arguments.steps)

    with use_precision(model.precision):
        time_steps = time_gpu_steps if has_gpu() else time_cpu_steps
        print(1000 * time_steps(stepper, arguments.steps))


def prepare_ours(model: Model, data: LabelledImages, info: Info) -> Stepper:
    """Return the steps that the stage `train` takes."""
    device = set_up_device(model.threads)
    network = build_network(model, info).to(device)
    run = TrainingRun(network, torch.from_numpy(data.images), torch.from_numpy(data.labels), model)
    losses = torch.zeros(1, device=device)
    n_correct = torch.zeros((), dtype=torch.int64, device=device)

    def take_step(batch: Batch) -> None:
        # As the training loop does, which copies the rows of a batch and keeps the results.
        loss, batch_n_correct = run.step(batch.images.clone(), batch.labels)
        losses[0] = loss
        n_correct.add_(batch_n_correct)

    assert isinstance(run.images, torch.Tensor)
    return Stepper(take_step, split_batches(run.images, run.labels, model.batch_size))


def prepare_plain(
    model: Model, data: LabelledImages, info: Info, is_resident: bool, n_steps: int
) -> Stepper:
    """Return the notebook's steps: its rows are on the host, or resident on the device."""
    torch.set_num_threads(model.threads)
    torch.backends.cudnn.allow_tf32 = False  # as ours: else a GPU would not multiply alike
    device = torch.device("cuda:0" if has_gpu() else "cpu")
    network = build_network(model, info).to(device)

    # The notebook holds all channels in memory, so only the rows that are needed are copied.
    n_rows = min(len(data.images), (N_WARM_UP_STEPS + n_steps) * model.batch_size)
    images = torch.from_numpy(data.images)[:n_rows].contiguous()
    labels = torch.from_numpy(data.labels)[:n_rows]
    if is_resident:
        images = images.to(device)
        labels = labels.to(device)
    step: Step = make_plain_step(network, model.lr, device)

    def take_step(batch: Batch) -> None:
        step(batch.images, batch.labels)

    return Stepper(take_step, split_batches(images, labels, model.batch_size))


def split_batches(images: torch.Tensor, labels: torch.Tensor, batch_size: int) -> list[Batch]:
    """Return the full batches of the rows, in stored order."""
    n_rows = len(labels) - len(labels) % batch_size
    return [
        Batch(batch_images, batch_labels)
        for batch_images, batch_labels in zip(
            images[:n_rows].split(batch_size), labels[:n_rows].split(batch_size), strict=True
        )
    ]


def time_cpu_steps(stepper: Stepper, n_steps: int) -> float:
    """Return the median of the seconds of a step, after a warm-up."""
    seconds = []
    for batch in islice(cycle(stepper.batches), N_WARM_UP_STEPS + n_steps):
        start = time.perf_counter()
        stepper.take_step(batch)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[N_WARM_UP_STEPS:])


def time_gpu_steps(stepper: Stepper, n_steps: int) -> float:
    """Return the mean seconds of a step in the last of several series.

    The host runs ahead of a GPU, so that single steps cannot be timed.
    """
    total_seconds = 0.0
    while total_seconds < MIN_GPU_SECONDS:
        torch.cuda.synchronize()
        start = time.perf_counter()
        for batch in islice(cycle(stepper.batches), n_steps):
            stepper.take_step(batch)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        total_seconds += seconds
    return seconds / n_steps


if __name__ == "__main__":
    main()
