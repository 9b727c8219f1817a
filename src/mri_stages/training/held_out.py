"""Predict rows that a training has not seen: scale, train, predict."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from mri_stages.config.schema import Model
from mri_stages.models import average_logits
from mri_stages.preprocessing.scaler import save_scaler
from mri_stages.preprocessing.scaling import fit_checked_scaler, write_scaled
from mri_stages.storage.arrays import Shape, read_array, view_as_images
from mri_stages.storage.dataset import AllRows, Info
from mri_stages.storage.history import Epoch, find_kept_epoch
from mri_stages.storage.unscaled_images import UnscaledImages, label_images
from mri_stages.storage.weights import save_weights
from mri_stages.training.checkpoint import Checkpoint
from mri_stages.training.fit import fit_networks
from mri_stages.training.fold_networks import FoldFiles
from mri_stages.training.images import to_images
from mri_stages.training.predict import predict_logits

Indices = NDArray[np.int64]  # of rows


class HeldOutResult(NamedTuple):
    """What a training on some rows gives for others."""

    probabilities: NDArray[np.float32]  # (m, K)
    kept_epoch: int | None  # from 1; None where no validation loss chose one


class ScaledParts(NamedTuple):
    """The training and the test images, by a scaler that is fitted on the former."""

    scaler: StandardScaler
    train: NDArray[Any] | UnscaledImages
    test: NDArray[Any] | UnscaledImages


def shuffle_rows(mask: NDArray[np.bool_], seed: int) -> Indices:
    """Return the rows of a mask (N,) in a random order.

    Training takes rows in stored order, and raw files may be sorted by class.
    """
    return np.random.default_rng(seed).permutation(np.flatnonzero(mask))


def fit_and_predict(
    model: Model,
    info: Info,
    rows: AllRows,
    train_indices: Indices,
    test_indices: Indices,
    folder: Path,
    *,
    checkpoint: Checkpoint | None = None,
    kept_files: FoldFiles | None = None,
    quiet: bool = False,
) -> HeldOutResult:
    """Train on some rows; return the class probabilities of the test rows (m,).

    The scaler is fitted on the training rows alone. The scaled rows lie in `folder`, since they may
    be larger than memory, or nowhere, as `rows.scaled` says. kept_files: write the scaler and the
    networks there.
    """
    images = scale_parts(rows, info.image_shape, train_indices, test_indices, folder)
    if kept_files is not None:
        save_scaler(kept_files.scaler, images.scaler, images.scaler.n_features_in_)
    subjects = None if rows.subjects is None else rows.subjects[train_indices]
    data = label_images(images.train, rows.labels[train_indices], subjects)
    test_images = to_images(images.test)

    # Each network predicts before the next one is trained, so that not all are in memory.
    logits_by_network = []
    history: list[Epoch] = []
    results = fit_networks(model, data, info, checkpoint=checkpoint, quiet=quiet)
    for number, (network, epochs) in enumerate(results):
        if kept_files is not None:
            save_weights(kept_files.weights(number), network)
        logits_by_network.append(predict_logits(network, test_images))
        history += epochs
    probabilities = average_logits(logits_by_network).softmax(1).numpy()
    return HeldOutResult(probabilities, find_kept_epoch(history))


def scale_parts(
    rows: AllRows, image_shape: Shape, train_indices: Indices, test_indices: Indices, folder: Path
) -> ScaledParts:
    """Return the scaled images, as files in `folder` or as images that are scaled on reading."""
    train_path = folder / "x_train.npy"
    test_path = folder / "x_test.npy"
    files = {train_path: train_indices, test_path: test_indices}
    if rows.scaled == "saved":
        scaler = write_scaled(rows.parts, files)
        train_images = view_as_images(read_array(train_path), image_shape)
        test_images = view_as_images(read_array(test_path), image_shape)
        return ScaledParts(scaler, train_images, test_images)

    scaler = fit_checked_scaler(rows.parts, files)
    unscaled = UnscaledImages(
        parts=rows.parts,
        indices=train_indices,
        image_shape=image_shape,
        mean=scaler.mean_.astype(np.float32),
        scale=scaler.scale_.astype(np.float32),
    )
    return ScaledParts(scaler, unscaled, replace(unscaled, indices=test_indices))
