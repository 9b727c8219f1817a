"""Folds inside each fold of the cross-validation: they part its training rows, and choose a model.

They depend on the rows, the folds and the seed only, so that all models have the same ones.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mri_stages.config.schema import CrossValidation
from mri_stages.errors import InputError
from mri_stages.preprocessing.folds import NoFoldsError, assign_folds
from mri_stages.storage.arrays import Shape
from mri_stages.storage.copies import Copies, find_copies
from mri_stages.storage.dataset import AllRows

CONFIG_KEY = "params.yaml: cross_validation.inner_folds"
OUTER = -1  # in place of an inner fold, of the rows of the outer fold: no inner training sees them

Integers = NDArray[np.int64]  # (N,)


def assign_inner_folds(
    rows: AllRows,
    image_shape: Shape,
    folds_of_repeats: Sequence[Integers],
    options: CrossValidation,
) -> list[list[Integers]]:
    """Return the inner fold (N,) of each row, for each repeat and outer fold; OUTER in that fold.

    An empty list for each repeat where there are no inner folds. InputError if two
    classes of the training rows cannot fill them.
    """
    if options.inner_folds == 0:
        return [[] for _ in folds_of_repeats]
    copies = find_copies(rows.parts, image_shape) if rows.subjects is None else None
    inner_folds_of_repeats = []
    for repeat, folds in enumerate(folds_of_repeats):
        inner_folds = []
        for fold in range(int(folds.max()) + 1):
            seed = derive_inner_seed(options.seed, repeat, fold)
            inner_folds.append(
                split_training_rows(rows, copies, folds == fold, options.inner_folds, seed)
            )
        inner_folds_of_repeats.append(inner_folds)
    return inner_folds_of_repeats


def derive_inner_seed(seed: int, repeat: int, fold: int) -> int:
    """Return the seed of the inner folds of an outer fold."""
    return int(np.random.SeedSequence([seed, repeat, fold]).generate_state(1)[0])


def split_training_rows(
    rows: AllRows,
    copies: Copies | None,
    fold_mask: NDArray[np.bool_],
    n_inner: int,
    seed: int,
) -> Integers:
    """Return the inner fold (N,) of each row outside an outer fold (N,), and OUTER in it."""
    train_indices = np.flatnonzero(~fold_mask)
    labels = rows.labels[train_indices]
    subjects = None if rows.subjects is None else rows.subjects[train_indices]
    train_copies = None
    units = train_indices if subjects is None else subjects
    if copies is not None:
        # All copies of an image are in one outer fold, so their first row is here too.
        first_rows = np.searchsorted(train_indices, copies.first_rows[train_indices])
        train_copies = Copies(first_rows, copies.constant_mask[train_indices])
        units = first_rows
    check_classes_fill(labels, units, n_inner)

    inner_folds = np.full(len(fold_mask), OUTER)
    try:
        inner_folds[train_indices] = assign_folds(
            labels, subjects, n_inner, seed, CONFIG_KEY, train_copies
        )
    except NoFoldsError:
        raise InputError(
            f"{CONFIG_KEY}: {n_inner} inner folds, expected 0: the training rows of a fold have "
            "too few subjects (without ids, images) of two classes"
        ) from None
    return inner_folds


def check_classes_fill(labels: Integers, units: Integers, n_inner: int) -> None:
    """Raise InputError if fewer than two classes have a unit (n,) for each inner fold.

    An AUC needs two classes in a fold. A rarer class does not fill all folds, and takes part.
    """
    n_units = count_units_of_second_class(labels, units)
    if n_units < n_inner:
        raise InputError(describe_few_units(n_inner, n_units))


def describe_few_units(n_inner: int, n_units: int) -> str:
    return (
        f"{CONFIG_KEY}: {n_inner} inner folds, expected 0 or at most {n_units}, the number of "
        "training subjects (without ids, images) of the second largest class"
    )


def count_units_of_second_class(labels: Integers, units: Integers) -> int:
    """Return how many units (n,), subjects or images, the second largest class (n,) has."""
    pair_labels, _ = np.unique(np.stack([labels, units]), axis=1)
    unit_counts = np.sort(np.unique(pair_labels, return_counts=True)[1])
    return int(unit_counts[-2]) if len(unit_counts) > 1 else 0
