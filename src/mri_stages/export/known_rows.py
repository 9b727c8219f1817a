"""Recognise rows of another set that a model was trained on: equal ones, and nearly equal ones."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.metrics.pairwise import euclidean_distances

from mri_stages.console import show_progress
from mri_stages.export.export_folder import HASHES_FILE
from mri_stages.export.external_set import ExternalSet
from mri_stages.export.row_set import Hashes, iterate_stored_pixels
from mri_stages.export.training_rows import TrainingRows

MAX_SIDE = 32  # pixels of the reduced images that are compared
MAX_BLOCK_ROWS = 500  # that are compared at a time
N_TYPICAL_ROWS = 500  # training rows whose distances from each other are the yardstick
# The largest distance of nearly equal images, as a share of the median distance of two training
# images. Slices of brains saved again as JPEG, halved and doubled in size, or with noise, reached
# 0.05; two different slices of one subject were 0.13 apart or more, and two drawn digits 0.1.
MAX_CLOSENESS = 0.06

RowMask = NDArray[np.bool_]  # (N,)
PixelChunks = Iterable[NDArray[np.float32]]  # (n, C, H, W) each


class KnownRows(NamedTuple):
    """Which rows (N,) of an external set the training set holds, and what was compared."""

    equal_mask: RowMask
    nearly_equal_mask: RowMask  # without the equal ones
    equal_check: str  # a sentence
    nearly_equal_check: str


def find_known_rows(external: ExternalSet, hashes: Hashes, training: TrainingRows) -> KnownRows:
    """Return which rows, of these hashes (N,), are equal or nearly equal to a training row.

    Rows of one value, such as black images, are equal by nature, and count as neither.
    """
    equal_mask = np.isin(hashes, training.hashes)
    nearly_equal_mask = np.zeros(len(hashes), np.bool_)
    if len(training.images):
        nearly_equal_mask = mark_nearly_equal_rows(
            external.iterate_chunks("reduce rows"),
            iterate_stored_pixels(training.images, "reduce training rows"),
        )
    if equal_mask.any() or nearly_equal_mask.any():
        constant_mask = mark_constant_rows(external.iterate_chunks("constant rows"))
        equal_mask &= ~constant_mask
        nearly_equal_mask &= ~constant_mask & ~equal_mask

    return KnownRows(
        equal_mask,
        nearly_equal_mask,
        describe_equal_check(equal_mask, training),
        describe_nearly_equal_check(nearly_equal_mask, training),
    )


def describe_equal_check(mask: RowMask, training: TrainingRows) -> str:
    """Return a sentence that says which rows were compared, and what came out."""
    if not len(training.hashes):
        return f"not possible: the export folder has no {HASHES_FILE}"
    n_rows = len(training.hashes)
    return f"{mask.sum()} of {len(mask)} rows are equal to one of {n_rows} training rows"


def describe_nearly_equal_check(mask: RowMask, training: TrainingRows) -> str:
    """Return a sentence that says which rows were compared, and what came out."""
    if not len(training.images):
        return "not possible: the training rows are not in this folder (data/flat)"
    n_rows = len(training.images)
    return f"{mask.sum()} of {len(mask)} rows are nearly equal to one of {n_rows} training rows"


def mark_nearly_equal_rows(rows: PixelChunks, training_rows: PixelChunks) -> RowMask:
    """Return which rows (N,) are nearly equal to a training row: see MAX_CLOSENESS.

    Images are compared at no more than MAX_SIDE x MAX_SIDE pixels, so that another compression does
    not hide a copy, and thousands of rows take seconds. Equal rows are nearly equal too, unless
    there is only one training row.
    """
    reduced_training_rows = np.concatenate([reduce_images(chunk) for chunk in training_rows])
    reduced_rows = np.concatenate([reduce_images(chunk) for chunk in rows])
    max_distance = MAX_CLOSENESS * compute_typical_distance(reduced_training_rows)

    masks = []
    with show_progress(len(reduced_rows), "compare with training rows", "row") as advance:
        for start in range(0, len(reduced_rows), MAX_BLOCK_ROWS):
            block = reduced_rows[start : start + MAX_BLOCK_ROWS]
            _, distances = pairwise_distances_argmin_min(block, reduced_training_rows)
            masks.append(distances < max_distance)
            advance(len(block))
    return np.concatenate(masks)


def compute_typical_distance(rows: NDArray[np.float32]) -> float:
    """Return the median distance between two of the rows (N, D), of a seeded sample of them.

    It is 0 for a single row: then no row is nearly equal.
    """
    n_sampled = min(len(rows), N_TYPICAL_ROWS)
    if n_sampled < 2:
        return 0.0
    indices = np.random.default_rng(0).choice(len(rows), n_sampled, replace=False)
    distances = euclidean_distances(rows[indices])
    return float(np.median(distances[np.triu_indices(n_sampled, 1)]))


def reduce_images(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images (n, C, H, W) as rows (n, D) of means over blocks of about equal size."""
    *_, height, width = images.shape
    row_starts = list_block_starts(height)
    column_starts = list_block_starts(width)

    row_sums = np.add.reduceat(images, row_starts, axis=2)
    sums = np.add.reduceat(row_sums, column_starts, axis=3)
    block_heights = np.diff(row_starts, append=height)
    block_widths = np.diff(column_starts, append=width)
    means = sums / np.outer(block_heights, block_widths)
    rows: NDArray[np.float32] = means.astype(np.float32).reshape(len(images), -1)
    return rows


def list_block_starts(side: int) -> NDArray[np.int64]:
    """Return where each of at most MAX_SIDE blocks of a side of an image begins."""
    return np.linspace(0, side, min(side, MAX_SIDE), endpoint=False).astype(np.int64)


def mark_constant_rows(rows: PixelChunks) -> RowMask:
    """Return which rows (N,) have one value in each channel, such as a black image."""
    masks = []
    for chunk in rows:
        masks.append((chunk == chunk[:, :, :1, :1]).all(axis=(1, 2, 3)))
    return np.concatenate(masks)
