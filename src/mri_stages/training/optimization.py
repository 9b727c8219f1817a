"""Optimizers, learning-rate schedules, and losses."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from mri_stages.config.schema import Model, Recipe
from mri_stages.models import import_own_part
from mri_stages.training.plain_sgd import PlainSgd

# Takes logits (n, K), labels (n,) and the class weights (K,) or None; returns a mean as a scalar.
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]

Optimizer = torch.optim.Optimizer | PlainSgd


def make_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Return the optimizer of the recipe for `parameters`."""
    if recipe.optimizer == "sgd" and recipe.momentum == 0 and has_constant_lr(recipe):
        return PlainSgd([(parameters, recipe.lr)], weight_decay=recipe.weight_decay)

    options: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    match recipe.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, momentum=recipe.momentum, **options)
        case "adam":
            return torch.optim.Adam(parameters, **options)
        case "adamw":
            return torch.optim.AdamW(parameters, **options)


def has_constant_lr(recipe: Recipe) -> bool:
    """Return whether all steps have the same learning rate."""
    return recipe.schedule == "constant" and recipe.warmup_epochs == 0


def make_schedule(
    recipe: Recipe, optimizer: Optimizer, n_steps: int
) -> CosineAnnealingLR | LambdaLR | None:
    """Return the schedule of the learning rate over all `n_steps`; None if it is constant."""
    if isinstance(optimizer, PlainSgd):
        return None
    if recipe.warmup_epochs > 0:
        n_warmup_steps = n_steps // recipe.epochs * recipe.warmup_epochs
        compute_factor = partial(compute_warmup_factor, recipe, n_warmup_steps, n_steps)
        return LambdaLR(optimizer, compute_factor)
    if recipe.schedule == "constant":
        return None
    return CosineAnnealingLR(optimizer, n_steps)


def compute_warmup_factor(recipe: Recipe, n_warmup_steps: int, n_steps: int, step: int) -> float:
    """Return by what `lr` is multiplied in a step of a training with a warm-up.

    step: from 0. The first W = `n_warmup_steps` steps have 1/W, 2/W, ..., 1. Cosine then begins
    with 1, as if the training began there.
    """
    if step < n_warmup_steps:
        return (step + 1) / n_warmup_steps
    if recipe.schedule == "constant":
        return 1.0
    progress = (step - n_warmup_steps) / (n_steps - n_warmup_steps)
    return (1 + math.cos(math.pi * progress)) / 2


def is_plain_sgd(recipe: Recipe) -> bool:
    """Return whether each step is -lr times the gradient of rows as they are stored.

    The gradient is that of a cross-entropy: what a loss of the user does is not known.
    """
    return (
        recipe.optimizer == "sgd"
        and recipe.momentum == 0
        and recipe.weight_decay == 0
        and has_constant_lr(recipe)
        and recipe.loss == "cross_entropy"
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


def make_loss(model: Model) -> Loss:
    """Return the loss of the model, for training and validation.

    InputError if it is the own one of an architecture's file without a function `loss`.
    """
    if model.loss == "cross_entropy":
        return partial(compute_weighted_cross_entropy, label_smoothing=model.label_smoothing)
    own_loss: Loss = import_own_part(model.arch, "loss", "logits, labels, weights")

    def compute_own_loss(
        logits: torch.Tensor, labels: torch.Tensor, class_weights: torch.Tensor | None
    ) -> torch.Tensor:
        if class_weights is not None:
            class_weights = class_weights.to(logits.dtype)
        return own_loss(logits, labels, class_weights)

    return compute_own_loss


def compute_weighted_cross_entropy(
    logits: torch.Tensor,
    labels: torch.Tensor,
    class_weights: torch.Tensor | None,
    label_smoothing: float = 0,
) -> torch.Tensor:
    """Return the mean cross-entropy over rows, each weighted by its class.

    logits: (n, K). labels: (n,). class_weights: (K,), or None if all rows weigh the same.
    label_smoothing: the share of each label that is spread evenly over all classes.
    """
    if class_weights is None:
        return nn.functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    row_weights = class_weights.to(logits.dtype)[labels]
    row_losses = nn.functional.cross_entropy(
        logits, labels, reduction="none", label_smoothing=label_smoothing
    )
    return (row_weights * row_losses).sum() / row_weights.sum()
