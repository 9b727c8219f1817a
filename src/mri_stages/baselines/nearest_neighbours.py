"""Nearest neighbours among all rows, for a classifier that learns nothing and for leakage."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import euclidean_distances

from mri_stages.console import show_progress

BLOCK_BYTES = 2**27  # of a block of rows as float64
MOST_WORK = 1e12  # products of two values: about a minute on two cores
WORK_OF_A_DISTANCE = 500  # what each distance costs beside its products, in products

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


def affordable(n_features: int, in_test: NDArray[Any], units: Numbers | None = None) -> Numbers:
    """Return the rows to compare with each other: all, or a sorted, seeded sample of them.

    The work grows with the square of the rows. units: (N,) subjects, which are sampled whole. The
    sample has the same share of those with rows in train, in test, and in both.
    """
    n_rows = len(in_test)
    most = int((MOST_WORK / (n_features + WORK_OF_A_DISTANCE)) ** 0.5)
    if n_rows <= most:
        return np.arange(n_rows)
    _, unit = np.unique(np.arange(n_rows) if units is None else units, return_inverse=True)
    kind = 2 * (np.bincount(unit, in_test) > 0) + (np.bincount(unit, ~in_test) > 0)
    rng = np.random.default_rng(0)
    kinds = [np.flatnonzero(kind == each) for each in np.unique(kind)]
    chosen = [rng.choice(k, max(1, len(k) * most // n_rows), replace=False) for k in kinds]
    return np.flatnonzero(np.isin(unit, np.concatenate(chosen)))


def nearest_of_other_groups(x: NDArray[Any], groupings: Numbers) -> tuple[Numbers, Floats]:
    """Return `nearest` and `closeness` (G, N) of the rows `x` (N, D), as they are stored.

    groupings: (G, N), the group of each row; at least two groups in each. nearest: the number of
    the nearest row of another group, the first of those equally near. closeness: the Euclidean
    distance to it, as a share of the median distance to the others of the row's group in grouping
    0; 0 for a copy, else NaN for a row that is alone there. Memory does not grow with N x N.
    """
    nearest, distance = np.empty(groupings.shape, np.int64), np.empty(groupings.shape)
    typical = np.full(len(x), np.nan)
    size = max(1, BLOCK_BYTES // (8 * max(x.shape)))  # also of the distances from all rows
    blocks = [x[start : start + size] for start in range(0, len(x), size)]
    with show_progress(len(x), "nearest neighbours", "row") as advance:
        for number, block in enumerate(blocks):
            rows = range(number * size, number * size + len(block))
            found = block.astype(np.float64)  # in which squares of grey levels add up exactly
            distances = np.vstack([euclidean_distances(others, found) for others in blocks])
            for place, groups in enumerate(groupings):
                others = np.where(groups[:, None] != groups[rows], distances, np.inf)
                nearest[place, rows], distance[place, rows] = others.argmin(0), others.min(0)
            for row, from_all in zip(rows, distances.T, strict=True):
                own = groupings[0] == groupings[0, row]
                own[row] = False
                if own.any():
                    typical[row] = np.median(from_all[own])
            advance(len(rows))
    with np.errstate(divide="ignore"):  # infinity, where the others of the group are copies
        return nearest, np.divide(distance, typical, where=distance > 0, out=0 * distance)
