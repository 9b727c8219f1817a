"""What a recipe of params.yaml adds to plain SGD on all rows, in stored order."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from src.cli import InputError, say_once
from src.params import Augment, Recipe

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
    return recipe.augment == "none" and all(getattr(recipe, k) == v for k, v in plain.items())


def class_weights(recipe: Recipe, labels: torch.Tensor, n_classes: int) -> torch.Tensor | None:
    """Return the weight (K,) of each class: those of scikit-learn's compute_class_weight."""
    if recipe.class_weights == "none":
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


def augmented(images: torch.Tensor, augment: Augment, generator: torch.Generator) -> torch.Tensor:
    """Return images (n, C, H, W), each shifted in both directions and perhaps mirrored at random.

    The pixels at the edge are repeated. The numbers are drawn on the CPU, the same for all devices.
    """
    n, channels, height, width = images.shape
    device, shift = images.device, augment.shift
    down, right = torch.randint(-shift, shift + 1, (2, n, 1), generator=generator)
    mirrored = (torch.rand(n, 1, generator=generator) < 0.5) & augment.flip
    rows = (torch.arange(height) - down).clamp(0, height - 1)
    columns = (torch.arange(width) - right).clamp(0, width - 1)
    columns = torch.where(mirrored, columns.flip(1), columns)
    return images[
        torch.arange(n, device=device)[:, None, None, None],
        torch.arange(channels, device=device)[:, None, None],
        rows.to(device)[:, None, :, None],
        columns.to(device)[:, None, None, :],
    ].contiguous()


def validation_rows(
    recipe: Recipe, labels: Numbers, subjects: Numbers | None, classes: Sequence[str]
) -> NDArray[np.bool_] | None:
    """Return which of the rows (N,) are held out for validation; None if none is wanted.

    That is the share `recipe.validation` of the subjects of each class, or of its rows where ids
    are unknown. A subject is of the class of its first row. A class keeps one subject or more.
    """
    if not recipe.validation:
        return None
    units = np.arange(len(labels)) if subjects is None else subjects
    ids, firsts = np.unique(units, return_index=True)
    order, chosen = np.random.default_rng(recipe.seed), list[int]()
    for label in np.unique(labels[firsts]):
        of_class = ids[labels[firsts] == label]
        n_held_out = min(round(recipe.validation * len(of_class)), len(of_class) - 1)
        if not n_held_out:
            say_once(f"note: no row of {classes[label]} is in validation: it has too few subjects")
        chosen += order.permutation(of_class)[:n_held_out].tolist()
    if not chosen:
        raise InputError(
            f"params.yaml: validation is {recipe.validation}, which holds out none of {len(ids)} "
            f"{'rows' if subjects is None else 'subjects'}; expected a larger share, or 0"
        )
    return np.isin(units, chosen)
