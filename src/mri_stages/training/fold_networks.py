"""The networks of a cross-validation in files: what predicts the rows of each fold again.

A folder holds the networks and the scaler of every fold of one model. The rows of a fold are in
data/folds/M.csv.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt
from torch import nn

from mri_stages.config.schema import Model
from mri_stages.models import average_logits
from mri_stages.preprocessing.scaler import read_scaler_arrays
from mri_stages.storage.arrays import Shape, view_as_images
from mri_stages.storage.dataset import Info
from mri_stages.storage.files import read_json, remove_path, replace_path, write_json
from mri_stages.storage.weights import load_weights
from mri_stages.training.device import set_up_device
from mri_stages.training.fit import build_network, select_network
from mri_stages.training.images import scale_stored_rows
from mri_stages.training.layout import choose_batch_layout
from mri_stages.training.predict import predict_logits

INDEX_FILE = "folds.json"


class FoldIndex(BaseModel):
    """The file folds.json of a folder of networks."""

    folds: NonNegativeInt  # 0 where no folds are possible: then there is no other file
    networks: NonNegativeInt  # in each fold; more than one of an ensemble


class FoldFiles(NamedTuple):
    """The files of one fold."""

    folder: Path
    fold: int  # from 0

    @property
    def scaler(self) -> Path:
        """Return the file of the scaler, which is fitted on the training rows of the fold."""
        return self.folder / f"fold-{self.fold}.npz"

    def weights(self, number: int) -> Path:
        """Return the file of a network, from 0."""
        return self.folder / f"fold-{self.fold}.{number}.safetensors"

    def are_complete(self, n_networks: int) -> bool:
        """Return whether all files of the fold exist."""
        files = [self.scaler, *map(self.weights, range(n_networks))]
        return all(file.exists() for file in files)


def move_networks(source: Path, folder: Path, index: FoldIndex) -> None:
    """Move a folder with the files of all folds, add the index, and put it in place of `folder`.

    It is one rename: a killed run leaves all files at the one place or at the other.
    """
    for partial in source.glob("*.partial"):
        remove_path(partial)
    write_json(source / INDEX_FILE, index.model_dump())
    folder.parent.mkdir(parents=True, exist_ok=True)
    replace_path(source, folder)


def read_fold_index(folder: Path) -> FoldIndex:
    """Return the index of a folder of networks; InputError if there is none."""
    return read_json(folder / INDEX_FILE, FoldIndex)


class FoldPredictor:
    """The scaler and the networks of one fold, ready to predict."""

    def __init__(self, files: FoldFiles, model: Model, info: Info) -> None:
        """Load them; InputError if files lack or are of another model."""
        device = set_up_device(model.threads)
        self.image_shape: Shape = info.image_shape
        scaler = read_scaler_arrays(files.scaler)  # of rows as they are stored
        self.mean = scaler["mean"].astype(np.float32)
        self.scale = scaler["scale"].astype(np.float32)
        self.networks: Sequence[nn.Module] = [
            load_network(files.weights(number), select_network(model, number), info).to(device)
            for number in range(model.ensemble)
        ]
        # Asked once for all calls of `predict`: only shape and dtype of the images count.
        image = torch.zeros(1, *info.image_shape)
        self.layouts = [choose_batch_layout(network, image) for network in self.networks]

    def predict(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities (n, K) of rows (n, D) before scaling.

        For the rows of the fold in their order, they have the bytes that cross-validation wrote,
        on the same device with the same number of threads.
        """
        rows = torch.from_numpy(pixels.copy())
        scaled = scale_stored_rows(rows, torch.from_numpy(self.mean), torch.from_numpy(self.scale))
        images = torch.from_numpy(view_as_images(scaled.numpy(), self.image_shape))
        logits = [
            predict_logits(network, images, layout=layout)
            for network, layout in zip(self.networks, self.layouts, strict=True)
        ]
        probabilities: NDArray[Any] = average_logits(logits).softmax(1).numpy()
        return probabilities


def load_network(path: Path, model: Model, info: Info) -> nn.Module:
    """Return a network with the weights of a file, on the CPU."""
    network = build_network(model, info)
    load_weights(path, network)
    return network
