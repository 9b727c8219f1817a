"""Folds of all rows for cross-validation, by subject where ids are known."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from mri_stages.errors import InputError


def assign_folds(
    y: NDArray[np.int64],
    subjects: NDArray[np.int64] | None,
    n_folds: int,
    seed: int,
    source: str = "params.yaml: cross_validation.folds",
) -> NDArray[np.int64]:
    """Return the fold (N,) in which each row is test, from labels (N,) and subject ids (N,).

    With ids, all rows of a subject are in one fold. InputError, which starts with `source`, if rows
    or subjects fill fewer folds, or one class is all that is left to train on or to score.
    """
    most, of = int(np.bincount(y).max()), "rows of the largest class"
    if subjects is not None:
        most, of = min((most, of), (len(np.unique(subjects)), "subjects in all"))
    if n_folds > most:
        raise InputError(f"{source}: {n_folds} folds, expected at most {most}, the number of {of}")
    splitter = StratifiedKFold if subjects is None else StratifiedGroupKFold
    folds = splitter(n_folds, shuffle=True, random_state=seed)
    fold = np.empty(len(y), np.int64)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of rare classes
        for number, (train, test) in enumerate(folds.split(y, y, subjects)):
            if not len(test) or len(np.unique(y[train])) < 2:
                raise InputError(
                    f"{source}: {n_folds} folds, but one fold has no rows, or leaves only one "
                    "class to train on; use fewer folds"
                )
            fold[test] = number
    if all(len(np.unique(fold[y == label])) == 1 for label in np.unique(y)):
        raise InputError(f"{source}: no class has rows in two folds, use more subjects")
    return fold
