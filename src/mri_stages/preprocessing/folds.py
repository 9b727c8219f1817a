"""Assign all rows to folds for cross-validation, by subject where ids are known."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from mri_stages.errors import InputError


def assign_folds(
    labels: NDArray[np.int64],
    subjects: NDArray[np.int64] | None,
    n_folds: int,
    seed: int,
    source: str = "params.yaml: cross_validation.folds",
) -> NDArray[np.int64]:
    """Return the fold (N,) in which each row is test, from labels (N,) and subject ids (N,).

    With ids, all rows of a subject are in one fold. Raise InputError, which starts with `source`,
    if rows or subjects fill fewer folds, or one class is all that is left to train on or to score.
    """
    check_fold_count(labels, subjects, n_folds, source)
    if subjects is None:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    else:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)

    folds = np.empty(len(labels), np.int64)
    # scikit-learn warns of classes with fewer rows than folds, which are allowed here.
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        for fold, (train, test) in enumerate(splitter.split(labels, labels, subjects)):
            if not len(test) or len(np.unique(labels[train])) < 2:
                raise InputError(
                    f"{source}: {n_folds} folds, but one fold has no rows, or leaves only one "
                    "class to train on; use fewer folds"
                )
            folds[test] = fold

    if not has_class_in_two_folds(labels, folds):
        raise InputError(f"{source}: no class has rows in two folds, use more subjects")
    return folds


def check_fold_count(
    labels: NDArray[np.int64], subjects: NDArray[np.int64] | None, n_folds: int, source: str
) -> None:
    """Raise InputError if there are more folds than rows of the largest class, or than subjects."""
    largest_class = int(np.bincount(labels).max())
    limits = [(largest_class, "rows of the largest class")]
    if subjects is not None:
        limits.append((len(np.unique(subjects)), "subjects in all"))
    max_folds, counted = min(limits)
    if n_folds > max_folds:
        raise InputError(
            f"{source}: {n_folds} folds, expected at most {max_folds}, the number of {counted}"
        )


def has_class_in_two_folds(labels: NDArray[np.int64], folds: NDArray[np.int64]) -> bool:
    return any(len(np.unique(folds[labels == label])) > 1 for label in np.unique(labels))
