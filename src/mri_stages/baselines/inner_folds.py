"""Folds of training units, on which a baseline chooses how strongly it is penalised."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold


class InnerSplit(NamedTuple):
    """Indices of the units to fit and of those to predict."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def split_inner_folds(labels: NDArray[Any], n_folds: int) -> list[InnerSplit]:
    """Return the splits of units (U,) into stratified folds, seeded."""
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of rare classes
        return [InnerSplit(train, test) for train, test in splitter.split(labels, labels)]


def list_inner_folds(splits: list[InnerSplit], n_units: int) -> NDArray[np.int64]:
    """Return the fold (U,) of each unit."""
    folds = np.zeros(n_units, np.int64)
    for fold, split in enumerate(splits):
        folds[split.test] = fold
    return folds
