"""Validation: choose its rows, score them, find the best epoch."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mri_stages.config.schema import Recipe
from mri_stages.console import print_once
from mri_stages.errors import InputError
from mri_stages.models import eval_mode
from mri_stages.storage.history import Epoch
from mri_stages.training.optimization import cross_entropy

Numbers = NDArray[np.int64]  # (N,)


def choose_validation_rows(
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
            print_once(
                f"note: no row of {classes[label]} is in validation: it has too few subjects"
            )
        chosen += order.permutation(of_class)[:n_held_out].tolist()
    if not chosen:
        raise InputError(
            f"params.yaml: validation is {recipe.validation}, which holds out none of {len(ids)} "
            f"{'rows' if subjects is None else 'subjects'}; expected a larger share, or 0"
        )
    return np.isin(units, chosen)


VALIDATION_BATCH = 64


@torch.inference_mode()
def validation(
    network: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    rows: torch.Tensor,
    weights: torch.Tensor | None,
) -> tuple[float, float]:
    """Return loss and accuracy of the rows (n,) in eval mode; the loss is that of training."""
    with eval_mode(network):
        of_batches = [
            network(x.index_select(0, batch).to(y.device)).double()
            for batch in rows.to(x.device).split(VALIDATION_BATCH)
        ]
    logits, labels = torch.cat(of_batches), y[rows.to(y.device)]
    accuracy = (logits.argmax(1) == labels).double().mean()
    return float(cross_entropy(logits, labels, weights)), float(accuracy)


def lowest(history: Sequence[Epoch]) -> int:
    """Return the first epoch with the lowest validation loss; -1 without a finite one."""
    losses = {row.epoch: row.validation_loss for row in history if row.validation_loss is not None}
    finite = [epoch for epoch, loss in losses.items() if math.isfinite(loss)]
    return min(finite, key=losses.__getitem__, default=-1)
