"""Nearest neighbours among all rows, for a classifier that learns nothing and for leakage."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.metrics import pairwise_distances_chunked

from src.cli import progress

BLOCK_BYTES = 2**27  # of a block of rows as float64
MOST_WORK = 1e12  # products of two values: about a minute on two cores
WORK_OF_A_DISTANCE = 500  # what each distance costs beside its products, in products


def affordable(
    n_features: int, in_test: NDArray[np.bool_], units: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return the rows to compare with each other: all, or a sorted, seeded sample of them.

    The work grows with the square of the rows, and must never hold up a run. units: (N,) subjects,
    which are sampled whole; None: each row is one. The sample has the same share of those with rows
    in train, in test, and in both.
    """
    n_rows = len(in_test)
    most = int((MOST_WORK / (n_features + WORK_OF_A_DISTANCE)) ** 0.5)
    if n_rows <= most:
        return np.arange(n_rows)
    _, unit = np.unique(np.arange(n_rows) if units is None else units, return_inverse=True)
    kind = 2 * (np.bincount(unit, in_test) > 0) + (np.bincount(unit, ~in_test) > 0)
    rng = np.random.default_rng(0)
    chosen: list[int] = []
    for each in np.unique(kind):
        of_kind = np.flatnonzero(kind == each)
        n_chosen = max(1, len(of_kind) * most // n_rows)
        chosen += rng.choice(of_kind, n_chosen, replace=False).tolist()
    return np.flatnonzero(np.isin(unit, chosen))


class Neighbours(NamedTuple):  # of N rows in G groupings
    nearest: NDArray[np.int64]  # (G, N), the number of the nearest row of another group
    distance: NDArray[np.float64]  # (G, N), Euclidean to that row, in units of the stored values
    typical: NDArray[np.float64]  # (N,), median to the other rows of the group in grouping 0


def nearest_of_other_groups(
    parts: Sequence[NDArray[Any]], groupings: NDArray[np.int64]
) -> Neighbours:
    """Return, for each row of `parts` and each grouping, the nearest row of another group.

    parts: stored rows (n, D), which may be memory maps, numbered through all parts, N in all.
    groupings: (G, N), the group of each row; at least two groups in each. Of rows that are equally
    near, the first counts. `typical` is NaN for a row that is alone in its group.

    Squared distances of grey levels are whole numbers, exact in float64, so the result does not
    depend on the number of threads. Memory does not grow with N x N.
    """
    n_rows = groupings.shape[1]
    nearest, distance = np.empty(groupings.shape, np.int64), np.empty(groupings.shape)
    typical = np.full(n_rows, np.nan)
    with progress(n_rows, "nearest neighbours", "row") as advance:
        for rows, distances in _distances_from_all(parts, n_rows):
            for place, groups in enumerate(groupings):
                others = np.where(groups[:, None] != groups[rows], distances, np.inf)
                nearest[place, rows], distance[place, rows] = others.argmin(0), others.min(0)
            for row, from_all in zip(rows, distances.T, strict=True):
                own = groupings[0] == groupings[0, row]
                own[row] = False
                if own.any():
                    typical[row] = np.median(from_all[own])
            advance(len(rows))
    return Neighbours(nearest, distance, typical)


def _distances_from_all(
    parts: Sequence[NDArray[Any]], n_rows: int
) -> Iterator[tuple[range, NDArray[np.float64]]]:
    """Yield the numbers of consecutive rows, with the distances (N, rows) from all rows to them."""
    row_bytes = 8 * parts[0].shape[1]
    size = max(1, BLOCK_BYTES // max(8 * n_rows, row_bytes))
    # scikit-learn takes as many of all rows at a time as this memory holds distances.
    memory = {"working_memory": 8 * size * max(1, BLOCK_BYTES // row_bytes) / 2**20}
    end = 0
    for part in parts:
        for start in range(0, len(part), size):
            block = part[start : start + size].astype(np.float64)
            chunks: list[NDArray[np.float64]] = []
            with config_context(assume_finite=True):  # `load` has checked it
                for others in parts:
                    chunks += pairwise_distances_chunked(others, block, **memory)
            end += len(block)
            yield range(end - len(block), end), np.vstack(chunks)
