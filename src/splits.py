"""Which rows train and which test: as given, or folds of all rows, by subject or at random."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.cli import InputError


def fold_of_rows(
    y: NDArray[np.int64], subjects: NDArray[np.int64] | None, n_folds: int, seed: int
) -> NDArray[np.int64]:
    """The fold (N,) in which each row is test, from labels (N,) and, if given, subject ids (N,).

    With ids, scikit-learn's StratifiedGroupKFold: all rows of a subject are in one fold. Without,
    StratifiedKFold. InputError if there are more folds than the rows or subjects can fill.
    """
    # Not at the top: its import takes 2 s, which `load` can do without where the split is given.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    most, of = int(np.bincount(y).max()), "rows of the largest class"
    if subjects is not None and len(np.unique(subjects)) < most:
        most, of = len(np.unique(subjects)), "subjects in all"
    if n_folds > most:
        raise InputError(f"params.yaml: data.folds is {n_folds}, expected at most {most}: the {of}")
    fold = np.empty(len(y), np.int64)
    splitter = (StratifiedKFold if subjects is None else StratifiedGroupKFold)(
        n_folds, shuffle=True, random_state=seed
    )
    with warnings.catch_warnings():
        # Of classes with fewer rows than folds: `absent_classes` says in which folds.
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, test) in enumerate(splitter.split(y, y, subjects)):
            if not len(test):
                raise InputError(
                    f"params.yaml: data.folds is {n_folds}, but fold {number} gets no row; "
                    "expected fewer folds"
                )
            fold[test] = number
    return fold


class Absent(NamedTuple):
    """The folds that have none of a class among their test rows, or among their training rows."""

    test: list[int]
    train: list[int]


def absent_classes(
    y: NDArray[np.int64], fold: NDArray[np.int64], classes: Sequence[str]
) -> dict[str, Absent]:
    """By name, the classes that not all folds have in both test and train."""
    absent = {}
    for label, name in enumerate(classes):
        rows = np.bincount(fold[y == label], minlength=int(fold.max()) + 1)
        if (rows == 0).any():
            absent[name] = Absent(
                np.flatnonzero(rows == 0).tolist(), np.flatnonzero(rows == rows.sum()).tolist()
            )
    return absent
