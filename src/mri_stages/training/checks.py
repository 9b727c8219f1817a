"""Checks that a recipe fits its network and images, before a training begins."""

import copy

import torch
from torch import nn

from mri_stages.config.schema import Augment, Recipe
from mri_stages.errors import InputError
from mri_stages.models import keep_random_state
from mri_stages.training.images import Images, read_first_images


def check_recipe(recipe: Recipe, network: nn.Module, images: Images, n_rows: int) -> None:
    """Raise InputError if the recipe does not fit the network, the images or their number."""
    check_shift(recipe, images)
    if has_batch_of_one_row(recipe, n_rows):
        check_batch_of_one_row(recipe, network, images, n_rows)


def has_batch_of_one_row(recipe: Recipe, n_rows: int) -> bool:
    """Return whether the last batch of an epoch of `n_rows` rows is one row."""
    return (n_rows - 1) % recipe.batch_size == 0


def check_shift(recipe: Recipe, images: Images) -> None:
    """Raise InputError if augmentation may shift an image out of sight."""
    shorter_side = min(images.shape[2:])
    if isinstance(recipe.augment, Augment) and recipe.augment.shift >= shorter_side:
        raise InputError(
            f"params.yaml: augment.shift is {recipe.augment.shift} pixels, expected less than the "
            f"{shorter_side} of an image"
        )


def check_batch_of_one_row(recipe: Recipe, network: nn.Module, images: Images, n_rows: int) -> None:
    """Raise InputError if the network cannot train on one row; BatchNorm fails on a single row.

    A copy of the network tries it, and the random numbers stay as they are.
    """
    device = next(network.parameters()).device
    image = read_first_images(images, 1, device)
    try:
        with keep_random_state(device), torch.no_grad():
            copy.deepcopy(network)(image)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"params.yaml: batch_size is {recipe.batch_size}, so the last batch of {n_rows} rows "
            f"is one row: {reason}; take another batch_size"
        ) from None
