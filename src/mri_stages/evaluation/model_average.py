"""The mean of the probabilities of several models, on the same rows and folds."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.files import REMAKE
from mri_stages.storage.predictions import Predictions

COMPARED_COLUMNS = ("rows", "subjects", "labels", "folds", "repeats")


def average_models(predictions_by_model: Mapping[str, Predictions]) -> Predictions:
    """Return the mean probabilities (N, K) per row and repeat; InputError for different rows.

    The mean is of float64, in the order of the models.
    """
    (first_name, first), *further = predictions_by_model.items()
    for name, predictions in further:
        for column in COMPARED_COLUMNS:
            if not is_equal(getattr(first, column), getattr(predictions, column)):
                raise InputError(
                    f"{paths.folds(name)}: {column} differ from those of "
                    f"{paths.folds(first_name)}, expected the same; {REMAKE}"
                )
    probabilities = np.stack(
        [predictions.probabilities for predictions in predictions_by_model.values()]
    )
    mean: NDArray[np.float64] = probabilities.mean(axis=0, dtype=np.float64)
    return first._replace(probabilities=mean.astype(np.float32), kept_epochs=None)


def is_equal(first: NDArray[np.int64] | None, second: NDArray[np.int64] | None) -> bool:
    """Return whether two columns, each of which may be missing, are equal."""
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)
