"""Which rows train and which test: folds of all rows, by subject or at random."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from src.cli import InputError


def fold_of_rows(
    y: NDArray[np.int64], subjects: NDArray[np.int64] | None, n_folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold (N,) in which each row is test, from labels (N,) and subject ids (N,).

    With ids, scikit-learn's StratifiedGroupKFold: all rows of a subject are in one fold. Without,
    StratifiedKFold. InputError if there are more folds than the rows or subjects can fill.
    """
    # Not at the top: the import takes a second, which `load` does not need for the given split.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    most, of = int(np.bincount(y).max()), "rows of the largest class"
    if subjects is not None and len(np.unique(subjects)) < most:
        most, of = len(np.unique(subjects)), "subjects in all"
    if n_folds > most:
        raise InputError(f"{n_folds} folds (data.folds), expected at most {most}: the {of}")
    splitter = StratifiedKFold if subjects is None else StratifiedGroupKFold
    folds = splitter(n_folds, shuffle=True, random_state=seed)
    fold = np.empty(len(y), np.int64)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # see absent_classes
        for number, (_, test) in enumerate(folds.split(y, y, subjects)):
            if not len(test):
                raise InputError(f"{n_folds} folds (data.folds), but one is empty; use fewer")
            fold[test] = number
    return fold


def absent_classes(
    y: NDArray[np.int64], fold: NDArray[np.int64], classes: Sequence[str]
) -> list[str]:
    """Return the names of the classes that not all folds have in both test and train."""
    rows = np.zeros((len(classes), int(fold.max()) + 1), int)
    np.add.at(rows, (y, fold), 1)
    # Where one fold has all rows of a class, the others have none.
    return [name for name, of_class in zip(classes, rows, strict=True) if not of_class.all()]
