"""Predict rows that a training has not seen: scale, train, predict."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mri_stages.config.schema import Model
from mri_stages.models import average_logits
from mri_stages.preprocessing.scaler import save_scaler
from mri_stages.preprocessing.scaling import write_scaled
from mri_stages.storage.arrays import read_array, view_as_images
from mri_stages.storage.dataset import AllRows, Info, LabelledImages
from mri_stages.storage.history import Epoch, find_kept_epoch
from mri_stages.storage.weights import save_weights
from mri_stages.training.checkpoint import Checkpoint
from mri_stages.training.fit import fit_networks
from mri_stages.training.fold_networks import FoldFiles
from mri_stages.training.predict import predict_logits

Indices = NDArray[np.int64]  # of rows


class HeldOutResult(NamedTuple):
    """What a training on some rows gives for others."""

    probabilities: NDArray[np.float32]  # (m, K)
    kept_epoch: int | None  # from 1; None where no validation loss chose one


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
    be larger than memory. kept_files: write the scaler and the networks there.
    """
    train_path = folder / "x_train.npy"
    test_path = folder / "x_test.npy"
    scaler = write_scaled(rows.parts, {train_path: train_indices, test_path: test_indices})
    if kept_files is not None:
        save_scaler(kept_files.scaler, scaler, scaler.n_features_in_)

    train_images = view_as_images(read_array(train_path), info.image_shape)
    subjects = None if rows.subjects is None else rows.subjects[train_indices]
    data = LabelledImages(train_images, rows.labels[train_indices], subjects)
    test_images = torch.from_numpy(view_as_images(read_array(test_path), info.image_shape))

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
