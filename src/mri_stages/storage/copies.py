"""Find images that are stored more than once, byte by byte."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.storage.arrays import Shape, iterate_chunks

HASH_BYTES = 8  # of each SHA-256; equal hashes are compared byte by byte
HASH_TYPE = np.dtype("<u8")

Indices = NDArray[np.int64]
Integers = NDArray[np.int64]  # (N,)
RowMask = NDArray[np.bool_]  # (N,)


class Copies(NamedTuple):
    """Which rows (N,) of all are equal."""

    first_rows: Indices  # (N,) index of the first row of the same bytes; its own without such a row
    constant_mask: RowMask
    """Rows of one value in each channel, such as a black image. They are equal by nature, which
    says nothing of leakage: no such row counts as a copy."""

    @property
    def copy_mask(self) -> RowMask:
        """Return which rows (N,) are copies of an earlier row."""
        copy_mask: RowMask = self.first_rows < np.arange(len(self.first_rows))
        return copy_mask


class CopyPairs(NamedTuple):
    """Pairs (n,) of equal rows, by their index among all rows."""

    first_rows: Indices
    rows: Indices  # later than the first row

    @property
    def n_images(self) -> int:
        """Return the number of different images."""
        return len(np.unique(self.first_rows))


def hash_rows(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the first 8 bytes of the SHA-256 of each stored row (n, D), as (n,) uint64."""
    digests = [sha256(np.ascontiguousarray(row).data).digest()[:HASH_BYTES] for row in rows]
    return np.frombuffer(b"".join(digests), HASH_TYPE)


def find_copies(parts: Sequence[NDArray[Any]], image_shape: Shape) -> Copies:
    """Return which rows of the parts (n, D), whose rows share one running index, are equal.

    Memory: 17 bytes per row, and a chunk of rows.
    """
    n_rows = sum(len(part) for part in parts)
    hashes = np.empty(n_rows, HASH_TYPE)
    constant_mask = np.empty(n_rows, np.bool_)
    first_index = 0
    for part in parts:
        for chunk in iterate_chunks(len(part), part[:1].nbytes, "copies"):
            target = slice(first_index + chunk.start, first_index + chunk.stop)
            hashes[target] = hash_rows(part[chunk])
            constant_mask[target] = mark_constant_rows(part[chunk], image_shape)
        first_index += len(part)

    first_rows = np.arange(n_rows)
    for indices in iterate_equal_hashes(hashes, np.flatnonzero(~constant_mask)):
        link_equal_rows(parts, indices, first_rows)
    return Copies(first_rows, constant_mask)


def mark_constant_rows(rows: NDArray[Any], image_shape: Shape) -> RowMask:
    """Return which stored rows (n, D) have one value in each channel."""
    _, height, width = image_shape
    channels = rows.reshape(len(rows), -1, height * width)
    constant_mask: RowMask = (channels == channels[:, :, :1]).all(axis=(1, 2))
    return constant_mask


def iterate_equal_hashes(hashes: NDArray[np.uint64], indices: Indices) -> Iterator[Indices]:
    """Yield in ascending order the indices of two or more rows that have the same hash."""
    _, hash_of_row, counts = np.unique(hashes[indices], return_inverse=True, return_counts=True)
    repeated_mask = counts[hash_of_row] > 1
    repeated_indices = indices[repeated_mask]
    if not len(repeated_indices):
        return

    order = np.argsort(hash_of_row[repeated_mask], kind="stable")
    sorted_hashes = hash_of_row[repeated_mask][order]
    starts = np.flatnonzero(np.diff(sorted_hashes)) + 1
    yield from np.split(repeated_indices[order], starts)


def link_equal_rows(parts: Sequence[NDArray[Any]], indices: Indices, first_rows: Indices) -> None:
    """Set `first_rows` of these rows, which have one hash, to the first row of the same bytes."""
    remaining = indices
    while len(remaining):
        first = int(remaining[0])
        first_bytes = get_row_bytes(parts, first)
        equal_mask = np.array(
            [np.array_equal(get_row_bytes(parts, int(index)), first_bytes) for index in remaining]
        )
        first_rows[remaining[equal_mask]] = first
        remaining = remaining[~equal_mask]


def get_row_bytes(parts: Sequence[NDArray[Any]], index: int) -> NDArray[np.uint8]:
    """Return the bytes of one row of parts whose rows share one running index."""
    for part in parts:
        if index < len(part):
            row: NDArray[np.uint8] = np.ascontiguousarray(part[index]).view(np.uint8)
            return row
        index -= len(part)
    raise IndexError(index)


def list_test_copies(copies: Copies, n_train: int) -> CopyPairs:
    """Return the test rows that are equal to a training row, with the first such row.

    The first `n_train` rows are train.
    """
    rows = np.arange(len(copies.first_rows))
    indices = np.flatnonzero((rows >= n_train) & (copies.first_rows < n_train))
    return CopyPairs(copies.first_rows[indices], indices)


def list_conflicts(copies: Copies, values: Integers) -> CopyPairs:
    """Return the copies whose value, such as the label, differs from that of the first row."""
    indices = np.flatnonzero(values[copies.first_rows] != values)
    return CopyPairs(copies.first_rows[indices], indices)
