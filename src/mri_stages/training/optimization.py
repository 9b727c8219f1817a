"""Optimizers, learning-rate schedules, and the loss with class weights."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from mri_stages.config.schema import Recipe


def make_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimizer of the recipe for `parameters`."""
    options: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    match recipe.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, momentum=recipe.momentum, **options)
        case "adam":
            return torch.optim.Adam(parameters, **options)
        case "adamw":
            return torch.optim.AdamW(parameters, **options)


def make_schedule(
    recipe: Recipe, optimizer: torch.optim.Optimizer, n_steps: int
) -> CosineAnnealingLR | None:
    """Return the schedule of the learning rate over all `n_steps`; None if it is constant."""
    if recipe.schedule == "constant":
        return None
    return CosineAnnealingLR(optimizer, n_steps)


def is_plain_sgd(recipe: Recipe) -> bool:
    """Return whether each step is -lr times the gradient of rows as they are stored."""
    return (
        recipe.optimizer == "sgd"
        and recipe.momentum == 0
        and recipe.weight_decay == 0
        and recipe.schedule == "constant"
        and recipe.augment is None
    )


def compute_class_weights(
    recipe: Recipe, labels: torch.Tensor, n_classes: int
) -> torch.Tensor | None:
    """Return the weight (K,) of each class in the loss; None if all rows weigh the same.

    labels: (N,), of the training rows. The weights are those of scikit-learn's
    compute_class_weight: N / (number of classes that occur * rows of the class).
    """
    if recipe.class_weights is None:
        return None
    counts = labels.bincount(minlength=n_classes)
    n_classes_present = (counts > 0).sum()
    return len(labels) / (n_classes_present * counts.clamp(min=1))


def compute_weighted_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, class_weights: torch.Tensor | None
) -> torch.Tensor:
    """Return the mean cross-entropy over rows, each weighted by its class.

    logits: (n, K). labels: (n,). class_weights: (K,), or None if all rows weigh the same.
    """
    if class_weights is None:
        return nn.functional.cross_entropy(logits, labels)
    row_weights = class_weights.to(logits.dtype)[labels]
    row_losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    return (row_weights * row_losses).sum() / row_weights.sum()
