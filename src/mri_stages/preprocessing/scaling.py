"""Standardisation by scikit-learn's StandardScaler, over rows that need not fit into memory."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.preprocessing import StandardScaler

from mri_stages.errors import InputError
from mri_stages.storage.arrays import Shape, iterate_chunks, select_rows, to_pixels, write_array
from mri_stages.storage.files import REMAKE, write_bytes

# Of test rows to training rows. Random splits of five kinds of data moved the mean by at most 0.6
# deviations and the deviation by 60 %. Normalised or rescaled test rows moved the deviation by a
# factor of 2 or more, or the mean (inverted slices) by 1 or more.
MAX_SHIFT = 0.8  # of the mean, in deviations of the training pixels
MAX_STRETCH = 1.95  # the larger deviation by the smaller


def write_scaled(
    parts: Sequence[NDArray[Any]], files: Mapping[Path, NDArray[np.int64]]
) -> StandardScaler:
    """Write stored rows, scaled as float32, to `files`; return the scaler, fitted on the first.

    parts: stored rows (n, D), numbered through. files: the numbers (m,) of the rows of each file.
    """
    scaler = _fitted(parts, next(iter(files.values())))
    for path, rows in files.items():
        shape = (len(rows), parts[0].shape[1])
        write_array(path, shape, np.float32, _scaled(scaler, parts, rows, path))
    return scaler


def _fitted(parts: Sequence[NDArray[Any]], rows: NDArray[np.int64]) -> StandardScaler:
    scaler = StandardScaler()
    with config_context(assume_finite=True):  # `_scaled` names a row that is not
        for chunk in iterate_chunks(len(rows), 4 * parts[0].shape[1], "fit scaler"):
            scaler.partial_fit(to_pixels(select_rows(parts, rows[chunk])))
    return scaler


def _scaled(
    scaler: StandardScaler, parts: Sequence[NDArray[Any]], rows: NDArray[np.int64], path: Path
) -> Iterator[NDArray[np.float32]]:
    """Yield scaled rows in chunks (n, D); InputError if a value is beyond float32's range."""
    for chunk in iterate_chunks(len(rows), 4 * parts[0].shape[1], f"scale {path.stem}"):
        with config_context(assume_finite=True), np.errstate(all="ignore"):  # checked below
            scaled = scaler.transform(to_pixels(select_rows(parts, rows[chunk])))
        finite = np.isfinite(scaled).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{path}: row {chunk.start + int(finite.argmin())} is beyond float32's range of "
                "3.4e38; rescale the raw pixels or fix that image"
            )
        yield scaled


def save_scaler(path: Path, scaler: StandardScaler, n_features: int) -> None:
    """Write mean, var and scale (n_features,) float64 and n_samples as .npz.

    Those of one stored channel are repeated for each of the equal channels.
    """
    copies = n_features // scaler.n_features_in_
    arrays = {key: np.tile(vars(scaler)[f"{key}_"], copies) for key in ("mean", "var", "scale")}
    arrays["n_samples"] = np.array(scaler.n_samples_seen_, np.float64)
    data = io.BytesIO()
    with ZipFile(data, "w") as archive:  # the headers of np.savez differ between Pythons
        for name, values in arrays.items():
            member = io.BytesIO()
            np.save(member, values, allow_pickle=False)
            archive.writestr(ZipInfo(f"{name}.npy"), member.getvalue())
    write_bytes(path, data.getvalue())


def read_scaler(path: Path, image_shape: Shape) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and scale (C, H, W) of `save_scaler`; InputError if it is of other images."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = (arrays[key].astype(np.float32) for key in ("mean", "scale"))
            mean, scale = (values.reshape(image_shape) for values in found)
    except (EOFError, KeyError, ValueError, BadZipFile) as error:
        raise InputError(f"{path}: no scaler of images {image_shape} ({error}); {REMAKE}") from None
    return mean, scale


def list_scale_warnings(scaler: StandardScaler, test: NDArray[Any]) -> list[str]:
    """Return a warning if stored rows `test` (n, D) are likely not on the training rows' scale."""
    (test_mean, test_deviation), (mean, deviation) = (
        (fitted.mean_.mean(), np.sqrt(fitted.var_.mean() + fitted.mean_.var()))
        for fitted in (_fitted([test], np.arange(len(test))), scaler)
    )
    smaller, larger = sorted((deviation, test_deviation))
    if abs(test_mean - mean) <= MAX_SHIFT * deviation and larger <= MAX_STRETCH * smaller:
        return []
    return [
        f"warning: test_data.pt: pixels of mean {test_mean:z.4f} and deviation "
        f"{test_deviation:.4f}, but {mean:z.4f} and {deviation:.4f} in train_data.pt; if only one "
        "of them was normalised or rescaled, do the same to both"
    ]
