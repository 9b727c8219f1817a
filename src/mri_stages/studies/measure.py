"""A run of a study: one training with one seed, what is measured of it, and its row in a CSV.

It trains on four fifths of the training rows and is scored on the fifth held out, of whose pixels
(but not labels) the scaler has seen mean and deviation.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from statistics import mean, stdev
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import nn

from mri_stages import paths
from mri_stages.config.schema import Studies
from mri_stages.storage.files import read_csv
from mri_stages.storage.history import Epoch
from mri_stages.studies.curvature import flat, gradient_noise, loss_and_accuracy, sharpness

NOISE_ROWS, SHARPNESS_ROWS = 512, 128
TARGET = 0.9  # training accuracy
DIVERGED = 10  # times the loss before training: some runs explode without ever being NaN

# The column of each study's values. The batch sizes are two studies: with the model's own learning
# rate (fixed), and with one in proportion to the batch (linear).
KEYS = {"seed": "model", "learning_rate": "lr", "fixed": "batch_size", "linear": "batch_size"}
SUMMARISED = (
    "train_loss", "train_accuracy", "held_out_accuracy", "gap", "epochs_to_90", "steps_to_90",
    "largest_rise", "distance", "noise_scale_start", "noise_scale_end", "sharpness",
)  # fmt: skip

T = TypeVar("T")


class Run(BaseModel):
    """One row. Losses are mean cross-entropies in nats; NaN: not measured."""

    model: str
    seed: int
    lr: float
    batch_size: int
    rows: int  # trained on
    held_out_rows: int
    constant_loss: float  # of the best constant answer: the entropy of the class shares
    start_loss: float  # over the rows trained on, before training
    train_loss: float  # over the same rows, after training
    held_out_loss: float
    train_accuracy: float  # after training; NaN logits count as class 0
    held_out_accuracy: float
    gap: float  # train_accuracy - held_out_accuracy
    diverged: bool  # train_loss is NaN, or DIVERGED times start_loss
    best_loss: float  # the lowest of an epoch, where each batch counts as before its own step
    epochs_to_90: float  # until an epoch had 90 % training accuracy; inf: never
    steps_to_90: float
    largest_rise: float  # of the loss from one epoch to the next; 0 if it only fell
    overshoots: bool  # an epoch's loss is above start_loss, or NaN
    turns: int  # of the loss from falling to rising or back, over the epochs
    distance: float = math.nan  # between first and last weights; NaN after divergence
    # Only where curvature is measured, and after training only if the run did not diverge:
    gradient_start: float = math.nan  # length of the gradient
    noise_scale_start: float = math.nan  # in rows; NaN: undefined, see `gradient_noise`
    gradient_end: float = math.nan
    noise_scale_end: float = math.nan
    sharpness: float = math.nan  # see `sharpness`, also for its limits


class Summary(NamedTuple):
    """A row of studies/summary.csv: one measure of the runs of one value."""

    study: str
    value: str | float
    measure: str
    mean: float | None
    sd: float | None  # sample standard deviation
    runs: int  # with a number
    without: int
    diverged: int  # of all runs


Rows = tuple[torch.Tensor, torch.Tensor]  # x (N, C, H, W) float32, y (N,) int64
Train = Callable[[nn.Module, torch.Tensor, torch.Tensor], Sequence[Epoch]]


def take(rows: Rows, chosen: NDArray[Any]) -> Rows:
    """Return a copy in memory of the chosen rows; equal channels, of stride 0, are copied once."""
    (x, y), places = rows, torch.from_numpy(chosen)
    once = x[:, :1] if x.stride(1) == 0 else x
    return once[places].expand(-1, *x.shape[1:]), y[places]


def measured_training(
    network: nn.Module, fitted: Rows, held_out: Rows, train: Train, batch_size: int, curvature: bool
) -> dict[str, Any]:
    """Return the measures of a `Run`, from before and after `train`, which works in place."""
    n_rows, first = len(fitted[1]), deepcopy(network).eval()
    start_loss, _ = loss_and_accuracy(first, *fitted)
    found = history_measures(train(network, *fitted), start_loss, math.ceil(n_rows / batch_size))
    network.eval()
    shares = fitted[1].bincount().double() / n_rows
    found |= {"rows": n_rows, "held_out_rows": len(held_out[1]), "start_loss": start_loss}
    found["constant_loss"] = float(-torch.xlogy(shares, shares).sum())
    found["train_loss"], found["train_accuracy"] = loss_and_accuracy(network, *fitted)
    found["held_out_loss"], found["held_out_accuracy"] = loss_and_accuracy(network, *held_out)
    found["gap"] = found["train_accuracy"] - found["held_out_accuracy"]
    found["diverged"] = not found["train_loss"] < DIVERGED * start_loss  # NaN is not less
    ends = {"start": first} if found["diverged"] else {"start": first, "end": network}
    if "end" in ends:
        start, last = (flat(of.parameters()).detach() for of in ends.values())
        found["distance"] = float((last - start).double().norm())
    if curvature:
        few = np.random.default_rng(0).permutation(n_rows)[:NOISE_ROWS]
        device = next(network.parameters()).device
        x, y = (part.to(device) for part in take(fitted, few))
        for when, of in ends.items():
            found[f"gradient_{when}"], found[f"noise_scale_{when}"] = gradient_noise(of, x, y)
        if "end" in ends:
            found["sharpness"] = sharpness(network, x[:SHARPNESS_ROWS], y[:SHARPNESS_ROWS])
    return found


def history_measures(
    epochs: Sequence[Epoch], start_loss: float, steps_per_epoch: int
) -> dict[str, float]:
    """Return what the epochs show; all but overshoots skip a loss of NaN or inf."""
    losses = [epoch.train_loss for epoch in epochs]
    finite = [loss for loss in losses if math.isfinite(loss)]
    changes = [after - before for before, after in pairwise(finite)]
    reached = [n for n, epoch in enumerate(epochs, 1) if epoch.train_accuracy >= TARGET]
    epochs_to_90 = min(reached, default=math.inf)
    return {
        "best_loss": min(finite, default=math.nan),
        "epochs_to_90": epochs_to_90,
        "steps_to_90": epochs_to_90 * steps_per_epoch,
        "largest_rise": max([0.0, *changes]),
        "overshoots": any(not loss <= start_loss for loss in losses),
        "turns": sum((a > 0) != (b > 0) for a, b in pairwise(changes)),
    }


def read_studies(studies: Studies) -> dict[str, list[Run]]:
    """Return the runs that params.yaml names, in its order; InputError if a file is missing."""
    rates, sizes = studies.learning_rate.values, studies.batch_size.values
    values: tuple[Sequence[object], ...] = (studies.seed.models, rates, sizes, sizes)
    return {
        study: [run for value in found for run in read_csv(paths.study_runs(study, value), Run)]
        for study, found in zip(KEYS, values, strict=True)
    }


def summaries(runs: Mapping[str, Sequence[Run]]) -> list[Summary]:
    found = []
    for study, key in KEYS.items():
        for value, group in by_value(runs[study], key).items():
            diverged = sum(run.diverged for run in group)
            for measure in SUMMARISED:
                finite = numbers(group, measure)
                counts = len(finite), len(group) - len(finite), diverged
                found.append(Summary(study, value, measure, *mean_and_deviation(finite), *counts))
    return found


def by_value(runs: Iterable[T], key: str) -> dict[Any, list[T]]:
    """Return the runs of each value of `key`: models in their order, numbers from the lowest."""
    groups: dict[Any, list[T]] = {}
    for run in runs:
        groups.setdefault(getattr(run, key), []).append(run)
    return groups if key == "model" else dict(sorted(groups.items()))


def numbers(runs: Iterable[Any], measure: str) -> list[float]:
    """Return the finite values of the measure."""
    return [value for run in runs if math.isfinite(value := getattr(run, measure))]


def mean_and_deviation(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return mean and sample standard deviation (n - 1); None where there are too few values."""
    return (mean(values) if values else None), (stdev(values) if len(values) > 1 else None)
