"""A fitted scaler: its file, and how far the pixels of rows may lie from those it was fitted on.

This module needs no scikit-learn, whose import takes longer than a second.
"""

import io
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from mri_stages.errors import InputError
from mri_stages.storage.arrays import Shape
from mri_stages.storage.files import REMAKE, write_bytes

# Test rows against training rows: random splits of five kinds of data moved the mean by at most
# 0.6 standard deviations and the standard deviation by 60 %. Normalised or rescaled test rows moved
# the standard deviation by a factor of 2 or more, or the mean (inverted slices) by 1 or more.
MAX_MEAN_SHIFT = 0.8  # in standard deviations of the training pixels
MAX_STD_RATIO = 1.95  # the larger standard deviation by the smaller

ARRAYS = ("mean", "var", "scale", "n_samples")  # in the file


class FittedScaler(Protocol):
    """What the file has of scikit-learn's StandardScaler."""

    mean_: NDArray[np.float64]
    var_: NDArray[np.float64]
    scale_: NDArray[np.float64]
    n_samples_seen_: Any
    n_features_in_: int


def save_scaler(path: Path, scaler: FittedScaler, n_features: int) -> None:
    """Write mean, var and scale (n_features,) float64 and n_samples as .npz.

    Those of one stored channel are repeated for each of the equal channels.
    """
    n_copies = n_features // scaler.n_features_in_
    arrays = {
        "mean": np.tile(scaler.mean_, n_copies),
        "var": np.tile(scaler.var_, n_copies),
        "scale": np.tile(scaler.scale_, n_copies),
        "n_samples": np.array(scaler.n_samples_seen_, np.float64),
    }
    data = io.BytesIO()
    with ZipFile(data, "w") as archive:  # np.savez writes other headers in other Pythons
        for name, values in arrays.items():
            member = io.BytesIO()
            np.save(member, values, allow_pickle=False)
            archive.writestr(ZipInfo(f"{name}.npy"), member.getvalue())
    write_bytes(path, data.getvalue())


def read_scaler(path: Path, image_shape: Shape) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and scale (C, H, W) of `save_scaler`; InputError if it is of other images."""
    arrays = read_scaler_arrays(path)
    try:
        mean = arrays["mean"].astype(np.float32).reshape(image_shape)
        scale = arrays["scale"].astype(np.float32).reshape(image_shape)
    except ValueError as error:
        raise describe_wrong_scaler(path, f"no scaler of images {image_shape} ({error})") from None
    return mean, scale


def read_scaler_arrays(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return mean, var, scale and n_samples of `save_scaler`; InputError for another file."""
    try:
        # NumPy leaves a damaged file open, so it is opened here.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ARRAYS}
    except (EOFError, KeyError, ValueError, BadZipFile) as error:
        raise describe_wrong_scaler(path, f"no scaler ({error})") from None


def describe_wrong_scaler(path: Path, fault: str) -> InputError:
    return InputError(f"{path}: {fault}; {REMAKE}")
