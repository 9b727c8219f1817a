"""The units that baselines predict: subjects, once for each class, or rows without ids."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.baselines.sampling import sample_each_kind
from mri_stages.storage.dataset import AllRows

Indices = NDArray[np.int64]


class Units(NamedTuple):
    """Units (U,) of rows (N,): the rows of one class of a subject, or a single row."""

    first_rows: Indices  # (U,) the first row of each unit, which stands for it
    unit_of_row: Indices  # (N,)


def build_units(rows: AllRows) -> Units:
    """Return a unit for each subject and class, or for each row without subject ids."""
    if rows.subjects is None:
        indices = np.arange(len(rows.labels))
        return Units(indices, indices)
    pairs = np.stack([rows.subjects, rows.labels])
    _, first_rows, unit_of_row = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
    return Units(first_rows, unit_of_row.ravel())


def sample_units(labels: NDArray[np.int64], max_units: int) -> Indices:
    """Return in ascending order the indices of all units (U,), or of a seeded sample of them.

    The sample has at most `max_units`, the same share of each class, and at least one of each.
    """
    n_units = len(labels)
    if n_units <= max_units:
        return np.arange(n_units)
    return np.sort(sample_each_kind(labels, max_units, n_units))


def sum_by_unit(values: NDArray[Any], units: Units) -> NDArray[np.float64]:
    """Return the sums over the rows of each unit: (U, ...) of values (N, ...)."""
    sums = np.zeros((len(units.first_rows), *values.shape[1:]))
    np.add.at(sums, units.unit_of_row, values)
    return sums
