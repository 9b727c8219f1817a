"""Nearest neighbours among all rows, for a classifier that learns nothing and for leakage.

All distances are those of float64 arithmetic. Those of grey levels are computed in float32, which
is twice as fast, and have the same bits: each sum is a whole number that float32 holds exactly.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.metrics import euclidean_distances

from mri_stages.baselines.sampling import sample_each_kind
from mri_stages.console import show_progress
from mri_stages.storage.neighbours import Indices, Neighbours

MAX_BLOCK_BYTES = 2**27  # of a block of rows as float64, and of its distances from all rows
MAX_PRODUCTS = 1e12  # of two values in float64: about a minute on two cores
NO_GROUP = -1  # of rows that are nobody's neighbour
PRODUCTS_PER_DISTANCE = 500  # what a distance costs beside its own products, in products
GREY_PRODUCT_COST = 0.5  # of a product of two grey levels, in products

# Grey levels less 128 have products of at most 2^14. A sum of up to 2^10 of them is at most 2^24,
# so that it and all sums on the way are whole numbers of float32, whatever their order.
MIDDLE_GREY = 128
MAX_EXACT_FEATURES = 2**24 // MIDDLE_GREY**2

Groups = NDArray[np.int64]  # (N,) the group of each row
Floats = NDArray[np.float64]


def sample_rows(
    n_features: int,
    test_mask: NDArray[np.bool_],
    units: NDArray[np.int64] | None = None,
    dtype: DTypeLike = np.float32,
) -> Indices:
    """Return in ascending order the indices of the rows to compare: all, or a seeded sample.

    The work grows with the square of the rows. units: (N,) subjects, which are sampled whole. The
    sample has the same share of those with rows in train only, in test only, and in both. dtype: of
    the stored rows.
    """
    n_rows = len(test_mask)
    product_cost = GREY_PRODUCT_COST if np.dtype(dtype) == np.uint8 else 1
    distance_cost = product_cost * n_features + PRODUCTS_PER_DISTANCE
    max_rows = int((MAX_PRODUCTS / distance_cost) ** 0.5)
    if n_rows <= max_rows:
        return np.arange(n_rows)
    if units is None:
        units = np.arange(n_rows)
    _, unit_of_row = np.unique(units, return_inverse=True)

    # A unit's kind: 1 has rows in train only, 2 in test only, 3 in both.
    has_test_rows = np.bincount(unit_of_row, test_mask) > 0
    has_train_rows = np.bincount(unit_of_row, ~test_mask) > 0
    kinds = 2 * has_test_rows.astype(int) + has_train_rows.astype(int)

    sampled_units = sample_each_kind(kinds, max_rows, n_rows)
    return np.flatnonzero(np.isin(unit_of_row, sampled_units))


def find_nearest_neighbours(
    rows: NDArray[Any], groupings: Mapping[str, Groups], reference: str
) -> dict[str, Neighbours]:
    """Return the nearest row of another group, in each grouping of the stored rows (N, D).

    groupings: at least two groups in each. A row of NO_GROUP is nobody's neighbour. Of rows that
    are equally near, the first is taken.
    Closeness is the Euclidean distance to the neighbour, as a share of the median distance to the
    other rows of the row's own group in the grouping `reference`; 0 for a copy, else NaN for a row
    that is alone there. Memory does not grow with N x N.
    """
    n_rows = len(rows)
    nearest = {name: np.empty(n_rows, np.int64) for name in groupings}
    distance = {name: np.empty(n_rows) for name in groupings}
    typical_distance = np.full(n_rows, np.nan)

    with show_progress(n_rows, "nearest neighbours", "row") as advance:
        for block, distances in _iterate_distances(rows):
            columns = np.arange(block.stop - block.start)
            for name, groups in groupings.items():
                candidate_mask = groups[:, None] != groups[block]
                candidate_mask[groups == NO_GROUP] = False
                other_distances = np.where(candidate_mask, distances, np.inf)
                nearest_of_block = other_distances.argmin(0)
                nearest[name][block] = nearest_of_block
                distance[name][block] = other_distances[nearest_of_block, columns]
            typical_distance[block] = _compute_typical_distances(
                distances, block, groupings[reference]
            )
            advance(block.stop - block.start)

    return {
        name: Neighbours(nearest[name], _divide_distances(distance[name], typical_distance))
        for name in groupings
    }


def _iterate_distances(rows: NDArray[Any]) -> Iterator[tuple[slice, Floats]]:
    """Yield blocks of n rows, and the distances (N, n) from all rows to them."""
    block_size = max(1, MAX_BLOCK_BYTES // (8 * max(rows.shape)))
    starts = range(0, len(rows), block_size)
    blocks = [slice(start, min(start + block_size, len(rows))) for start in starts]
    is_grey = rows.dtype == np.uint8
    for block in blocks:
        if is_grey:
            block_rows = _centre_grey_levels(rows[block])
            parts = [_compute_grey_distances(rows[other], block_rows) for other in blocks]
        else:
            block_rows = rows[block].astype(np.float64)
            parts = [euclidean_distances(rows[other], block_rows) for other in blocks]
        yield block, np.vstack(parts)


def _centre_grey_levels(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return rows (n, D) of grey levels less 128, which changes no distance."""
    centred: NDArray[np.float32] = np.subtract(rows, MIDDLE_GREY, dtype=np.float32)
    return centred


def _compute_grey_distances(rows: NDArray[np.uint8], centred: NDArray[np.float32]) -> Floats:
    """Return the distances (N, n) from stored rows (N, D) to centred ones (n, D).

    They have the bits of float64 arithmetic, in which the squares of grey levels add up exactly.
    """
    products = np.zeros((len(rows), len(centred)))
    row_squares = np.zeros(len(rows))
    centred_squares = np.zeros(len(centred))
    for start in range(0, rows.shape[1], MAX_EXACT_FEATURES):
        features = slice(start, start + MAX_EXACT_FEATURES)
        first = _centre_grey_levels(rows[:, features])
        second = centred[:, features]
        products += first @ second.T
        row_squares += np.einsum("ij,ij->i", first, first)
        centred_squares += np.einsum("ij,ij->i", second, second)
    squares: Floats = row_squares[:, None] + centred_squares - 2 * products
    return np.sqrt(squares, out=squares)


def _compute_typical_distances(distances: Floats, block: slice, groups: Groups) -> Floats:
    """Return the median distance from each row of a block to the others of its group; else NaN."""
    typical_distances = np.full(block.stop - block.start, np.nan)
    for offset, row_distances in enumerate(distances.T):
        row = block.start + offset
        companion_mask = groups == groups[row]
        companion_mask[row] = False
        if companion_mask.any():
            typical_distances[offset] = np.median(row_distances[companion_mask])
    return typical_distances


def _divide_distances(distance: Floats, typical_distance: Floats) -> Floats:
    """Return the closeness (N,): 0 for a copy.

    It is infinity where most other rows of the row's group are copies of it, but its neighbour is
    not.
    """
    closeness = np.zeros_like(distance)
    with np.errstate(divide="ignore"):
        np.divide(distance, typical_distance, where=distance > 0, out=closeness)
    return closeness
