"""Standardisation by scikit-learn's StandardScaler, over rows that need not fit into memory."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.preprocessing import StandardScaler

from src.cli import InputError
from src.storage.arrays import pixels, row_slices
from src.storage.files import REMAKE, write_bytes


def fit_scaler(stored: NDArray[Any]) -> StandardScaler:
    """Return the scaler of the stored rows (N, D)."""
    scaler = StandardScaler()
    with config_context(assume_finite=True):  # `scaled_chunks` names a row that is not
        for rows in row_slices(len(stored), 4 * stored.shape[1], "fit"):
            scaler.partial_fit(pixels(stored[rows]))
    return scaler


def scaled_chunks(
    scaler: StandardScaler, stored: NDArray[Any], source: Path
) -> Iterator[NDArray[np.float32]]:
    """Yield the scaled rows of the stored rows (N, D) of the file `source`, in chunks.

    InputError if they do not fit the scaler, or a scaled value is beyond float32's range.
    """
    if stored.shape[1] != scaler.n_features_in_:
        found, expected = stored.shape[1], scaler.n_features_in_
        raise InputError(f"{source}: rows of {found} values, expected {expected}; {REMAKE}")
    for rows in row_slices(len(stored), 4 * stored.shape[1], f"scale {source.stem}"):
        with config_context(assume_finite=True), np.errstate(all="ignore"):  # checked below
            scaled = scaler.transform(pixels(stored[rows]))
        finite = np.isfinite(scaled).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{source}: row {rows.start + int(finite.argmin())}, scaled, is beyond float32's "
                "range of 3.4e38; rescale the raw pixels or fix that image"
            )
        yield scaled


def save_scaler(path: Path, scaler: StandardScaler, n_features: int) -> None:
    """Write mean, var and scale (n_features,) float64 and n_samples as .npz.

    Those of one stored channel are repeated for each of the equal channels.
    """
    copies = n_features // scaler.n_features_in_
    statistics = {"mean": scaler.mean_, "var": scaler.var_, "scale": scaler.scale_}
    tiled = {name: np.tile(values, copies) for name, values in statistics.items()}
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, **tiled, n_samples=np.float64(scaler.n_samples_seen_))
    write_bytes(path, data.getvalue())
