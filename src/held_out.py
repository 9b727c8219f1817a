"""Training rows that the studies do not train on."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from src.cli import InputError

FOLDS = 5


def held_out_rows(y: NDArray[np.int64], subjects: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    """Which rows are held out (N,): the first of five seeded, stratified folds of scikit-learn.

    Whole subjects where there are ids. A class of fewer rows or subjects than folds is in some
    folds only. InputError if the rows are too few to cut.
    """
    folds: StratifiedGroupKFold | StratifiedKFold
    if subjects is not None:
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    else:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        try:
            _, chosen = next(folds.split(np.empty(len(y)), y, subjects))
        except ValueError as error:
            raise InputError(
                f"data/flat: cannot hold out a {FOLDS}th of the training rows ({error}); take a "
                "larger set"
            ) from None
    held_out = np.zeros(len(y), bool)
    held_out[chosen] = True
    return held_out
