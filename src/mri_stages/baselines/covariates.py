"""A baseline of what is known of the subjects, such as age and sex: it sees no image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from mri_stages.baselines.regression import predict_by_regression
from mri_stages.console import list_some

PENALTY = 1.0  # C of scikit-learn

Floats = NDArray[np.float64]


class Covariate(NamedTuple):
    """A column of the table of subjects, with a value for each unit (U,)."""

    name: str
    values: NDArray[np.float64] | NDArray[np.str_]  # numbers or texts

    @property
    def is_number(self) -> bool:
        return self.values.dtype.kind == "f"

    def select(self, indices: NDArray[np.int64]) -> "Covariate":
        """Return the column of some units (n,)."""
        return Covariate(self.name, self.values[indices])

    def describe(self) -> str:
        """Return the name and what the values were taken for."""
        if self.is_number:
            return f"{self.name} (numbers from {self.values.min():g} to {self.values.max():g})"
        return f"{self.name} (texts: {list_some(np.unique(self.values))})"


def predict_covariates(
    covariates: Sequence[Covariate],
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    n_classes: int,
) -> NDArray[np.float32]:
    """Return class probabilities (U, K), those of each fold from a fit on the other folds."""
    probabilities = np.zeros((len(labels), n_classes), np.float32)
    with threadpool_limits(1):  # more threads would add in another order
        for fold in np.unique(folds):
            train_mask = folds != fold
            features = np.hstack([encode(covariate, train_mask) for covariate in covariates])
            probabilities[~train_mask] = predict_by_regression(
                features[train_mask], labels[train_mask], features[~train_mask], n_classes, PENALTY
            )
    return probabilities


def encode(covariate: Covariate, train_mask: NDArray[np.bool_]) -> Floats:
    """Return features (U, P), which the training units define.

    Numbers are standardised. A text has a column for each value; a value that no training unit has
    is 0 in all of them.
    """
    column = covariate.values[:, None]
    encoder = StandardScaler()
    if not covariate.is_number:
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoder.fit(column[train_mask])
    features: Floats = encoder.transform(column)
    return features
