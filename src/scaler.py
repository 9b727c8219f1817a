"""scikit-learn's StandardScaler over rows that need not fit into memory."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from src.arrays import pixels, row_slices
from src.files import write_bytes


def fit_scaler(x: NDArray[Any]) -> StandardScaler:
    """A StandardScaler fitted on the stored rows `x` (N, D) by chunks, float64 statistics."""
    scaler = StandardScaler()
    for rows in row_slices(len(x), 4 * x.shape[1], "fit scaler"):
        scaler.partial_fit(pixels(x[rows]))
    return scaler


def scaled_chunks(scaler: StandardScaler, x: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """The scaled rows of the stored rows `x` (N, D) in chunks.

    scikit-learn casts its float64 statistics to float32 before it applies them to float32 rows, so
    the rows are bit-equal to those of one `fit_transform`.
    """
    for rows in row_slices(len(x), 4 * x.shape[1], "scale"):
        yield scaler.transform(pixels(x[rows]))


def save_scaler(path: Path, scaler: StandardScaler, n_features: int) -> None:
    """The fitted statistics as .npz: mean, var, scale (n_features,) float64, and n_samples.

    Those of one stored channel are those of each of the equal channels.
    """
    copies = n_features // len(scaler.mean_)
    data = io.BytesIO()
    np.savez(
        data,
        mean=np.tile(scaler.mean_, copies),
        var=np.tile(scaler.var_, copies),
        scale=np.tile(scaler.scale_, copies),
        n_samples=scaler.n_samples_seen_,
    )
    write_bytes(path, data.getvalue())
