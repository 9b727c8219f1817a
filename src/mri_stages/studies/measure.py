"""Measure one training of a study: its network before and after it, and its history."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from mri_stages.config.schema import Model
from mri_stages.models import eval_mode
from mri_stages.storage.arrays import view_as_images
from mri_stages.storage.dataset import Info, LabelledImages
from mri_stages.storage.history import Epoch
from mri_stages.storage.unscaled_images import LabelledUnscaledImages, TrainingRows
from mri_stages.studies.curvature import (
    flatten_tensors,
    measure_gradient_noise,
    measure_sharpness,
    project_on_rows,
)
from mri_stages.studies.records import Run
from mri_stages.training.fit import fit, prepare_start
from mri_stages.training.images import read_all_images, to_images
from mri_stages.training.predict import predict_logits

BATCH_SIZE = 64  # rows, for losses and accuracies
NOISE_ROWS = 512
SHARPNESS_ROWS = 128
TARGET_ACCURACY = 0.9
DIVERGED_RATIO = 10  # of the last loss to that before: some runs explode without ever being NaN


@dataclass(frozen=True)
class Training:
    """A finished training, with the network that it began with."""

    model: Model
    train_rows: TrainingRows
    network_before: nn.Module
    network_after: nn.Module
    history: Sequence[Epoch]


def run_training(
    model: Model,
    info: Info,
    train_rows: TrainingRows,
    products: torch.Tensor | None = None,
) -> Training:
    """Train the model on the rows; the network of its start is built a second time.

    products: of the rows, which trainings with several seeds share, see `compute_shared_products`.
    """
    result = fit(model, train_rows, info, quiet=True, products=products)
    device = next(result.network.parameters()).device
    network_before = prepare_start(model, info)().to(device)
    return Training(model, train_rows, network_before, result.network, result.history)


def measure_run(model_name: str, training: Training, held_out_rows: TrainingRows) -> Run:
    """Return the measures of a training, without those of the curvature."""
    before = training.network_before
    after = training.network_after
    train_rows = training.train_rows
    start_loss, _ = compute_loss_and_accuracy(before, train_rows)
    train_loss, train_accuracy = compute_loss_and_accuracy(after, train_rows)
    held_out_loss, held_out_accuracy = compute_loss_and_accuracy(after, held_out_rows)

    has_diverged = not train_loss < DIVERGED_RATIO * start_loss  # NaN is not less
    steps_per_epoch = math.ceil(len(train_rows.labels) / training.model.batch_size)
    history = measure_history(training.history, start_loss, steps_per_epoch)
    return Run(
        model=model_name,
        seed=training.model.seed,
        lr=training.model.lr,
        batch_size=training.model.batch_size,
        rows=len(train_rows.labels),
        held_out_rows=len(held_out_rows.labels),
        constant_loss=compute_entropy(train_rows.labels),
        start_loss=start_loss,
        train_loss=train_loss,
        held_out_loss=held_out_loss,
        train_accuracy=train_accuracy,
        held_out_accuracy=held_out_accuracy,
        gap=train_accuracy - held_out_accuracy,
        diverged=has_diverged,
        distance=math.nan if has_diverged else measure_distance(before, after),
        **history._asdict(),
    )


def add_curvature(run: Run, training: Training) -> Run:
    """Return the run with its curvature on random training rows, before and after training.

    After a training that diverged it is not measured.
    """
    indices = np.random.default_rng(0).permutation(run.rows)[:NOISE_ROWS]
    rows = select_labelled_images(training.train_rows, indices)
    device = next(training.network_after.parameters()).device
    images = read_all_images(to_images(rows.images), device)
    labels = torch.from_numpy(rows.labels).to(device)
    networks, images = project_on_rows([training.network_before, training.network_after], images)
    network_before, network_after = networks

    with eval_mode(network_before):
        noise = measure_gradient_noise(network_before, images, labels)
    measures = {"gradient_start": noise.norm, "noise_scale_start": noise.scale}
    if run.diverged:
        return run.model_copy(update=measures)

    with eval_mode(network_after):
        noise = measure_gradient_noise(network_after, images, labels)
        sharpness = measure_sharpness(
            network_after, images[:SHARPNESS_ROWS], labels[:SHARPNESS_ROWS]
        )
    measures |= {
        "gradient_end": noise.norm,
        "noise_scale_end": noise.scale,
        "sharpness": sharpness,
    }
    return run.model_copy(update=measures)


def compute_loss_and_accuracy(network: nn.Module, rows: TrainingRows) -> tuple[float, float]:
    """Return the mean cross-entropy, summed in float64, and the share of correct rows."""
    labels = torch.from_numpy(rows.labels)
    images = to_images(rows.images)
    logits = predict_logits(network, images, batch_size=BATCH_SIZE)
    accuracy = (logits.argmax(1) == labels).double().mean()
    return float(cross_entropy(logits.double(), labels)), float(accuracy)


def compute_entropy(labels: NDArray[np.int64]) -> float:
    """Return the entropy of the class shares: the lowest mean loss of a constant answer."""
    shares = torch.from_numpy(labels).bincount().double() / len(labels)
    return float(-torch.xlogy(shares, shares).sum())


def measure_distance(before: nn.Module, after: nn.Module) -> float:
    """Return the Euclidean distance between the weights of two equal networks."""
    first_weights = flatten_tensors(before.parameters()).detach()
    last_weights = flatten_tensors(after.parameters()).detach()
    return float((last_weights - first_weights).double().norm())


class HistoryMeasures(NamedTuple):
    """The columns of a `Run` that follow from its epochs."""

    lowest_loss: float
    epochs_to_90: float
    steps_to_90: float
    largest_rise: float
    overshoots: bool
    turns: int


def measure_history(
    epochs: Sequence[Epoch], start_loss: float, steps_per_epoch: int
) -> HistoryMeasures:
    """Return the measures of the epochs; only `overshoots` counts a loss of NaN or infinity."""
    losses = [epoch.train_loss for epoch in epochs]
    finite_losses = [loss for loss in losses if math.isfinite(loss)]
    changes = [after - before for before, after in pairwise(finite_losses)]
    epochs_to_90 = count_epochs_to_target(epochs)
    return HistoryMeasures(
        lowest_loss=min(finite_losses, default=math.nan),
        epochs_to_90=epochs_to_90,
        steps_to_90=epochs_to_90 * steps_per_epoch,
        largest_rise=max([0.0, *changes]),
        overshoots=any(not loss <= start_loss for loss in losses),  # NaN is not less
        turns=count_turns(changes),
    )


def count_epochs_to_target(epochs: Sequence[Epoch]) -> float:
    """Return the number of epochs until one had the target accuracy; infinity if none had."""
    for number, epoch in enumerate(epochs, start=1):
        if epoch.train_accuracy >= TARGET_ACCURACY:
            return number
    return math.inf


def count_turns(changes: Sequence[float]) -> int:
    """Return how often the changes go from falling to rising or back."""
    return sum((before > 0) != (after > 0) for before, after in pairwise(changes))


def select_labelled_images(data: TrainingRows, selection: NDArray[Any]) -> TrainingRows:
    """Return a copy in memory of the selected rows, by a mask (N,) or by indices.

    Equal channels, which have a stride of 0, are copied once and keep that stride. Rows that are
    scaled on reading stay in their file.
    """
    subjects = None if data.subjects is None else data.subjects[selection]
    labels = data.labels[selection]
    if isinstance(data, LabelledUnscaledImages):
        return LabelledUnscaledImages(data.images.select(selection), labels, subjects)
    channels = data.images[:, :1] if data.images.strides[1] == 0 else data.images
    copies = channels[selection]
    images = view_as_images(copies.reshape(len(copies), -1), data.images.shape[1:])
    return LabelledImages(images, labels, subjects)
