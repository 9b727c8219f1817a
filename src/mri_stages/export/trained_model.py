"""Use a trained model: from pixels to the probabilities of the classes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mri_stages.config.loading import read_params
from mri_stages.errors import InputError
from mri_stages.export.export_folder import (
    DESCRIPTION_FILE,
    ONNX_FILE,
    ExportDescription,
    load_scaled_network,
)
from mri_stages.export.onnx_file import BATCH_SIZE, Outputs, open_onnx, run_onnx
from mri_stages.storage.arrays import Shape, to_pixels
from mri_stages.storage.dataset import read_info
from mri_stages.storage.files import read_json
from mri_stages.training.device import set_up_device


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with its scaler, of params.yaml or of an export folder."""

    classes: list[str]  # in label order
    image_shape: Shape  # channels, height, width
    # Whether the training pixels were from 0 to 1, as those of image files are.
    has_unit_range: bool
    # From pixels (n, C, H, W) float32, n at most BATCH_SIZE.
    compute_outputs: Callable[[NDArray[np.float32]], Outputs]


def load_model(name: str | Path) -> TrainedModel:
    """Return a model of params.yaml by its name, or the model in an export folder."""
    folder = Path(name)
    if folder.is_dir():
        return load_exported_model(folder)
    return load_model_of_params(str(name))


def load_exported_model(folder: Path) -> TrainedModel:
    """Return the model in an export folder, such as models/export."""
    description = read_json(folder / DESCRIPTION_FILE, ExportDescription)
    session = open_onnx(folder / ONNX_FILE)

    darkest, brightest = description.input.range
    return TrainedModel(
        classes=description.classes,
        image_shape=description.input.shape,
        has_unit_range=darkest >= 0 and brightest <= 1,
        compute_outputs=lambda images: run_onnx(session, images),
    )


def load_model_of_params(name: str) -> TrainedModel:
    """Return a model of the params.yaml in the current folder."""
    params = read_params()
    info = read_info()
    if name not in params.models:
        known_names = ", ".join(params.models)
        raise InputError(
            f"{name}: no folder and no model of params.yaml, expected one of {known_names}"
        )
    device = set_up_device(params.models[name].threads)
    network = load_scaled_network(name, params, info).to(device)

    @torch.inference_mode()
    def compute_outputs(images: NDArray[np.float32]) -> Outputs:
        tensors = network(torch.from_numpy(images).to(device))
        return Outputs(*(tensor.cpu().numpy() for tensor in tensors))

    return TrainedModel(
        classes=info.classes,
        image_shape=info.image_shape,
        has_unit_range=bool(network.mean.min() >= 0 and network.mean.max() <= 1),
        compute_outputs=compute_outputs,
    )


def predict(model: TrainedModel, images: ArrayLike) -> NDArray[np.float32]:
    """Return the probabilities (N, K) of the model's classes for images (N, C, H, W).

    images: pixels on the scale of the training images, without the scaler, which the model has;
    uint8 grey levels k stand for k/255. InputError if they have another shape, or if an image
    holds NaN or infinity.
    """
    if isinstance(images, torch.Tensor):
        images = images.detach().cpu()
    stored = np.asarray(images)
    check_shape(stored, model.image_shape)
    batches = []
    for start in range(0, len(stored), BATCH_SIZE):
        pixels = to_pixels(stored[start : start + BATCH_SIZE])
        batch = np.ascontiguousarray(pixels, dtype=np.float32)
        finite_mask = np.isfinite(batch).reshape(len(batch), -1).all(axis=1)
        if not finite_mask.all():
            index = start + int(finite_mask.argmin())
            raise InputError(f"image {index} holds NaN or infinity, expected finite pixels")
        batches.append(model.compute_outputs(batch).probabilities)
    return np.concatenate(batches)


def check_shape(images: NDArray[Any], image_shape: Shape) -> None:
    """Raise InputError unless the images are one or more of this shape."""
    if images.ndim != 4 or images.shape[1:] != image_shape or len(images) == 0:
        raise InputError(
            f"images of shape {images.shape}, expected {('N', *image_shape)} as in training"
        )
