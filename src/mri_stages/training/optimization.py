"""What a recipe of params.yaml adds to plain SGD on all rows, in stored order."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mri_stages.config.schema import Recipe

Numbers = NDArray[np.int64]  # (N,)


def make_optimizer(recipe: Recipe, parameters: Iterable[Any]) -> torch.optim.Optimizer:
    """Return the optimizer of the recipe for `parameters`, or for groups of them."""
    options: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    match recipe.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, momentum=recipe.momentum, **options)
        case "adam":
            return torch.optim.Adam(parameters, **options)
        case "adamw":
            return torch.optim.AdamW(parameters, **options)


def is_plain_sgd(recipe: Recipe) -> bool:
    """Return whether each step is -lr times the gradient of rows as they are stored."""
    plain = {"optimizer": "sgd", "momentum": 0, "weight_decay": 0, "schedule": "constant"}
    return recipe.augment is None and all(getattr(recipe, k) == v for k, v in plain.items())


def class_weights(recipe: Recipe, labels: torch.Tensor, n_classes: int) -> torch.Tensor | None:
    """Return the weight (K,) of each class: those of scikit-learn's compute_class_weight."""
    if recipe.class_weights is None:
        return None
    counts = labels.bincount(minlength=n_classes)
    return len(labels) / ((counts > 0).sum() * counts.clamp(min=1))


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None
) -> torch.Tensor:
    """Return the mean cross-entropy over rows, each weighted by its class."""
    if weights is None:
        return nn.functional.cross_entropy(logits, labels)
    of_rows = weights.to(logits.dtype)[labels]
    losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    return (of_rows * losses).sum() / of_rows.sum()
