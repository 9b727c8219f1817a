"""Standardise rows by scikit-learn's StandardScaler, over more rows than memory holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.preprocessing import StandardScaler

from mri_stages.errors import InputError
from mri_stages.preprocessing.scaler import MAX_MEAN_SHIFT, MAX_STD_RATIO
from mri_stages.storage.arrays import iterate_chunks, select_rows, to_pixels, write_array

FLOAT32_BYTES = 4


def write_scaled(
    parts: Sequence[NDArray[Any]], files: Mapping[Path, NDArray[np.int64]]
) -> StandardScaler:
    """Write stored rows, scaled as float32, to `files`; return the scaler.

    parts: stored rows (n, D), which share one running index over all parts. files: the indices (m,)
    of the rows of each file. The scaler is fitted on the rows of the first file.
    """
    scaler = fit_scaler(parts, next(iter(files.values())))
    for path, indices in files.items():
        shape = (len(indices), parts[0].shape[1])
        write_array(path, shape, np.float32, iterate_scaled(scaler, parts, indices, path))
    return scaler


def fit_checked_scaler(
    parts: Sequence[NDArray[Any]], files: Mapping[Path, NDArray[np.int64]]
) -> StandardScaler:
    """Return the scaler of `write_scaled`, and write nothing.

    InputError, as there, if a row cannot be scaled.
    """
    scaler = fit_scaler(parts, next(iter(files.values())))
    if parts[0].dtype == np.uint8:
        # Grey levels that differ at all differ enough: a quotient is below 1e20.
        return scaler
    for path, indices in files.items():
        for _ in iterate_scaled(scaler, parts, indices, path):
            pass
    return scaler


def write_no_rows(files: Iterable[Path], n_features: int) -> None:
    """Write files of no row, where each batch is scaled when it is read."""
    for path in files:
        write_array(path, (0, n_features), np.float32, [])


def fit_scaler(parts: Sequence[NDArray[Any]], indices: NDArray[np.int64]) -> StandardScaler:
    """Return a scaler fitted on the rows with these indices (m,), chunk by chunk."""
    scaler = StandardScaler()
    # Values are not checked here: `iterate_scaled` names the row of one that is not finite.
    with config_context(assume_finite=True):
        for chunk in iterate_chunks(len(indices), count_row_bytes(parts), "fit scaler"):
            scaler.partial_fit(to_pixels(select_rows(parts, indices[chunk])))
    return scaler


def iterate_scaled(
    scaler: StandardScaler,
    parts: Sequence[NDArray[Any]],
    indices: NDArray[np.int64],
    path: Path,
) -> Iterator[NDArray[np.float32]]:
    """Yield scaled rows in chunks (n, D); InputError if a value is beyond float32's range.

    `path`, the file that the rows are for, is only for the messages.
    """
    for chunk in iterate_chunks(len(indices), count_row_bytes(parts), f"scale {path.stem}"):
        scaled = scale_pixels(scaler, to_pixels(select_rows(parts, indices[chunk])))
        finite_mask = np.isfinite(scaled).all(axis=1)
        if not finite_mask.all():
            raise InputError(
                f"{path}: row {chunk.start + int(finite_mask.argmin())} is beyond float32's range "
                "of 3.4e38; rescale the raw pixels or fix that image"
            )
        yield scaled


def scale_pixels(scaler: StandardScaler, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scaled rows (n, D); a value beyond float32's range is infinite."""
    with config_context(assume_finite=True), np.errstate(all="ignore"):
        scaled: NDArray[np.float32] = scaler.transform(pixels)
    return scaled


def count_row_bytes(parts: Sequence[NDArray[Any]]) -> int:
    """Return the bytes of a stored row as float32."""
    n_features: int = parts[0].shape[1]
    return FLOAT32_BYTES * n_features


def list_scale_warnings(scaler: StandardScaler, test: NDArray[Any]) -> list[str]:
    """Return a warning if stored rows `test` (n, D) are likely not on the training rows' scale."""
    mean, std = summarise_pixels(scaler)
    test_mean, test_std = summarise_pixels(fit_scaler([test], np.arange(len(test))))

    smaller_std, larger_std = sorted((std, test_std))
    is_mean_close = abs(test_mean - mean) <= MAX_MEAN_SHIFT * std
    is_std_close = larger_std <= MAX_STD_RATIO * smaller_std
    if is_mean_close and is_std_close:
        return []
    return [
        f"warning: test_data.pt: pixels of mean {test_mean:z.4f} and deviation "
        f"{test_std:.4f}, but {mean:z.4f} and {std:.4f} in train_data.pt; if only one "
        "of them was normalised or rescaled, do the same to both"
    ]


def summarise_pixels(scaler: StandardScaler) -> tuple[float, float]:
    """Return mean and standard deviation over all pixels of the rows that `scaler` has seen."""
    mean = scaler.mean_.mean()
    std = np.sqrt(scaler.var_.mean() + scaler.mean_.var())
    return mean, std
