"""Nearest neighbours among all rows: what a classifier that learns nothing goes by."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

QUERY_BYTES, CANDIDATE_BYTES = 2**27, 2**26  # of a block of rows as float64


class Neighbours(NamedTuple):
    nearest: NDArray[
        np.int64
    ]  # (G, N): the number of the nearest row of another group, by grouping
    distance: NDArray[np.float64]  # (G, N): to that row, Euclidean, in units of the stored values
    typical: NDArray[np.float64]  # (N,): median distance to the other rows of its own first group


def nearest_of_other_groups(
    parts: Sequence[NDArray[Any]], groupings: NDArray[np.int64]
) -> Neighbours:
    """For each row of `parts` and each grouping, the nearest row that is of another group.

    parts: stored rows (n, D), numbered through all parts, N in all; may be memory maps.
    groupings: (G, N), the group of each row; two groups or more in each. Of rows that are equally
    near, the first. `typical` is NaN for a row that is alone in its group.

    Squared distances are |a|^2 + |b|^2 - 2ab in float64, a block of rows against another at a
    time, so that memory does not grow with N x N. Grey levels are whole numbers: on them all of it
    is exact, whatever the order of the sums and the number of threads.
    """
    n_rows = groupings.shape[1]
    # A feature that is the same in all rows, as the black background is, tells none apart.
    varying = np.max([part.max(0) for part in parts], 0) > np.min(
        [part.min(0) for part in parts], 0
    )
    squares = np.concatenate(
        [
            np.einsum("ij,ij->i", block, block)
            for _, block in _blocks(parts, varying, CANDIDATE_BYTES)
        ]
    )
    nearest = np.empty(groupings.shape, np.int64)
    distance = np.empty(groupings.shape)
    typical = np.full(n_rows, np.nan)
    with tqdm(total=n_rows, desc="nearest neighbours", unit="row", disable=None) as progress:
        for rows, queries in _blocks(parts, varying, QUERY_BYTES, width=n_rows):
            products = [queries @ block.T for _, block in _blocks(parts, varying, CANDIDATE_BYTES)]
            squared = squares[rows, None] + squares - 2 * np.concatenate(products, axis=1)
            distances = np.sqrt(np.maximum(squared, 0))
            for place, groups in enumerate(groupings):
                others = np.where(groups != groups[rows, None], distances, np.inf)
                nearest[place, rows] = others.argmin(1)
                distance[place, rows] = others.min(1)
            for row, to_all in zip(range(n_rows)[rows], distances, strict=True):
                own = groupings[0] == groupings[0, row]
                own[row] = False
                if own.any():
                    typical[row] = np.median(to_all[own])
            progress.update(len(queries))
    return Neighbours(nearest, distance, typical)


def _blocks(
    parts: Sequence[NDArray[Any]], features: NDArray[np.bool_], n_bytes: int, width: int = 0
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Those features of `parts` as float64 in blocks, with the rows' numbers.

    A block has about `n_bytes`, and so would one of as many rows of `width` numbers.
    """
    size = max(1, n_bytes // (8 * max(width, parts[0].shape[1])))
    first = 0
    for part in parts:
        for start in range(0, len(part), size):
            block = part[start : start + size, features].astype(np.float64)
            yield slice(first + start, first + start + len(block)), block
        first += len(part)
