"""scikit-learn's StandardScaler over rows that need not fit into memory."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from src.arrays import row_slices
from src.files import replacing


def fit_scaler(x: NDArray[np.float32]) -> StandardScaler:
    """A StandardScaler fitted on the rows of `x` (N, D), a chunk at a time, float64 statistics."""
    scaler = StandardScaler()
    for rows in row_slices(len(x), x[0].nbytes, "fit scaler"):
        scaler.partial_fit(x[rows])
    return scaler


def scaled_chunks(scaler: StandardScaler, x: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The scaled rows of `x` (N, D) in chunks.

    scikit-learn casts its float64 statistics to float32 before it applies them to float32 rows, so
    the rows are bit-equal to those of one `fit_transform`.
    """
    for rows in row_slices(len(x), x[0].nbytes, "scale"):
        yield scaler.transform(x[rows])


def save_scaler(path: Path, scaler: StandardScaler) -> None:
    """The fitted statistics as .npz: mean, var, scale (D,) float64, and n_samples."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            mean=scaler.mean_,
            var=scaler.var_,
            scale=scaler.scale_,
            n_samples=scaler.n_samples_seen_,
        )
