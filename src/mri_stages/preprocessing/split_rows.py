"""The rows of a split that networks are trained on or score, by the param `data.scaled`."""

import math
from pathlib import Path

import numpy as np

from mri_stages import paths
from mri_stages.config.schema import ScaledRows
from mri_stages.preprocessing.scaler import describe_wrong_scaler, read_scaler_arrays
from mri_stages.storage.dataset import Info, load_scaled, load_stored, read_stored_rows
from mri_stages.storage.unscaled_images import (
    LabelledUnscaledImages,
    TrainingRows,
    UnscaledImages,
)


def load_split_rows(split: str, info: Info, scaled: ScaledRows) -> TrainingRows:
    """Return the rows of `split`: scaled ones of a file, or those that each batch scales."""
    if scaled == "saved":
        return load_scaled(split, info)
    return load_unscaled(split, info)


def load_unscaled(split: str, info: Info) -> LabelledUnscaledImages:
    """Return the stored rows of `split` with the scaler of the training rows.

    InputError if the scaler is of other images.
    """
    stored = load_stored(split, info)
    rows = read_stored_rows(split, info)
    scaler = read_scaler_arrays(paths.SCALER)
    n_features = math.prod(info.image_shape)
    if scaler["mean"].shape != (n_features,) or scaler["scale"].shape != (n_features,):
        raise describe_wrong_scaler(paths.SCALER, f"no scaler of images {info.image_shape}")

    # Equal channels are stored once, and the file repeats their scaler.
    n_stored = rows.shape[1]
    images = UnscaledImages(
        parts=[rows],
        indices=np.arange(len(rows)),
        image_shape=info.image_shape,
        mean=scaler["mean"][:n_stored].astype(np.float32),
        scale=scaler["scale"][:n_stored].astype(np.float32),
    )
    return LabelledUnscaledImages(images, stored.labels, stored.subjects)


def list_image_files(split: str, scaled: ScaledRows) -> list[Path]:
    """Return the files that decide the scaled pixels of `split`."""
    if scaled == "saved":
        return [paths.scaled_images(split)]
    return [paths.flat_images(split), paths.SCALER]
