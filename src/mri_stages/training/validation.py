"""Validation: choose its rows, score them, count the epochs since the best one."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mri_stages.config.schema import Recipe
from mri_stages.console import print_once
from mri_stages.errors import InputError
from mri_stages.storage.history import Epoch, find_best_epoch
from mri_stages.training.images import Images
from mri_stages.training.optimization import Loss
from mri_stages.training.predict import predict_logits

Integers = NDArray[np.int64]  # (N,)

VALIDATION_BATCH_SIZE = 64


def choose_validation_rows(
    recipe: Recipe, labels: Integers, subjects: Integers | None, classes: Sequence[str]
) -> NDArray[np.bool_] | None:
    """Return a mask (N,) of the rows that are held out for validation; None if none is wanted.

    These are the share `recipe.validation` of the subjects of each class, or of its rows where ids
    are unknown. A subject is of the class of its first row. A class keeps at least one subject to
    train on.
    """
    if not recipe.validation:
        return None

    units = np.arange(len(labels)) if subjects is None else subjects
    unit_ids, first_rows = np.unique(units, return_index=True)
    unit_labels = labels[first_rows]
    rng = np.random.default_rng(recipe.seed)
    validation_units: list[int] = []
    for label in np.unique(unit_labels):
        class_units = unit_ids[unit_labels == label]
        n_validation = round(recipe.validation * len(class_units))
        n_validation = min(n_validation, len(class_units) - 1)
        if n_validation == 0:
            print_once(
                f"note: no row of {classes[label]} is in validation: it has too few subjects"
            )
        validation_units += rng.permutation(class_units)[:n_validation].tolist()

    if not validation_units:
        unit_name = "rows" if subjects is None else "subjects"
        raise InputError(
            f"params.yaml: validation is {recipe.validation}, which holds out none of "
            f"{len(unit_ids)} {unit_name}; expected a larger share, or 0"
        )
    return np.isin(units, validation_units)


@torch.inference_mode()
def score_validation_rows(
    network: nn.Module,
    images: Images,
    labels: torch.Tensor,
    indices: torch.Tensor,
    class_weights: torch.Tensor | None,
    compute_loss: Loss,
    layout: torch.memory_format | None = None,
) -> tuple[float, float]:
    """Return loss and accuracy of the rows `indices` (n,) in eval mode, computed in float64.

    images: (N, C, H, W) and labels: (N,), on any device. compute_loss: that of training. layout: as
    in `predict_logits`.
    """
    logits = predict_logits(network, images, indices, VALIDATION_BATCH_SIZE, layout).double()
    validation_labels = labels[indices.to(labels.device)].cpu()
    if class_weights is not None:
        class_weights = class_weights.cpu()
    loss = compute_loss(logits, validation_labels, class_weights)
    accuracy = (logits.argmax(1) == validation_labels).double().mean()
    return float(loss), float(accuracy)


def count_epochs_since_best(history: Sequence[Epoch]) -> int:
    """Return the number of epochs after the best one; all of them without a finite loss."""
    best_epoch = find_best_epoch(history)
    if best_epoch is None:
        return len(history)
    return len(history) - best_epoch
