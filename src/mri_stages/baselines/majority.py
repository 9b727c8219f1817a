"""A baseline that always answers the largest class."""

import numpy as np
from numpy.typing import NDArray


def predict_majority(
    labels: NDArray[np.int64], groups: NDArray[np.int64], n_classes: int
) -> NDArray[np.float64]:
    """Return, for each row, probability 1 for the largest class of the other groups: (N, K)."""
    probabilities = np.zeros((len(labels), n_classes))
    for group in np.unique(groups):
        in_group_mask = groups == group
        largest_class = np.bincount(labels[~in_group_mask]).argmax()
        probabilities[in_group_mask, largest_class] = 1
    return probabilities
