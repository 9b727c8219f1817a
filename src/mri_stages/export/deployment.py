"""Prepare a trained model for use elsewhere: its network, a check of its file, and model.json."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, Field, FiniteFloat
from torch.onnx import OnnxExporterError

from mri_stages import paths
from mri_stages.config.schema import Params
from mri_stages.errors import InputError
from mri_stages.export.onnx_file import (
    BATCH_SIZE,
    ScaledNetwork,
    encode_onnx,
    open_onnx,
    run_onnx,
)
from mri_stages.models import make_network
from mri_stages.preprocessing.scaling import read_scaler
from mri_stages.storage.arrays import Shape, to_pixels
from mri_stages.storage.dataset import Info, load_stored
from mri_stages.storage.predictions import read_predictions
from mri_stages.storage.records import read_metrics
from mri_stages.storage.weights import load_weights

# The files of an export folder.
ONNX_FILE = "model.onnx"
DESCRIPTION_FILE = "model.json"
CARD_FILE = "card.md"

MAX_PROBABILITY_DIFFERENCE = 1e-4  # between ONNX and PyTorch
LISTED_PACKAGES = ("torch", "onnx", "onnxruntime", "numpy", "scikit-learn")
INTENDED_USE = "Research and teaching. Not a medical device: not for diagnosis or treatment."


def check_order(pixel_range: tuple[float, float]) -> tuple[float, float]:
    """Return the range; ValueError if its first end is above its second."""
    low, high = pixel_range
    if low > high:
        raise ValueError(f"{low:g} to {high:g}, expected the lower end first")
    return pixel_range


class ModelInput(BaseModel):
    """The images that a model takes."""

    shape: Shape
    # The darkest and the brightest pixel of the training images.
    range: Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(check_order)]


class ExportDescription(BaseModel):
    """What is read back of an export folder's model.json."""

    classes: list[str] = Field(min_length=2)  # in label order
    input: ModelInput


def load_scaled_network(name: str, params: Params, info: Info) -> ScaledNetwork:
    """Return the trained network of a model of params.yaml with its scaler, in eval mode.

    InputError if its training diverged.
    """
    model = params.models[name]
    network = make_network(model.arch, info.image_shape, len(info.classes), model.seed)
    load_weights(paths.weights(name), network)
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise InputError(f"{paths.weights(name)}: NaN, since the training diverged; lower its lr")

    mean, scale = read_scaler(paths.SCALER, info.image_shape)
    return ScaledNetwork(network, torch.from_numpy(mean), torch.from_numpy(scale)).eval()


def encode_model(name: str, params: Params, info: Info) -> bytes:
    """Return the content of the ONNX file of a trained model of params.yaml."""
    network = load_scaled_network(name, params, info)
    try:
        return encode_onnx(network, info.image_shape)
    except OnnxExporterError as error:
        # The message has pages, of which the first line says the most.
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"params.yaml: export.model is {name}, whose network has no ONNX form ({reason}); "
            "export another model"
        ) from None


def check_onnx_file(path: Path, name: str, info: Info) -> float:
    """Return the largest difference of a test row's probability from the one of `evaluate`.

    InputError if it is too large, or not a number.
    """
    expected = read_predictions(paths.predictions(name), info.classes).probabilities
    images = load_stored("test", info).images
    difference = float(abs(predict_by_onnx(path, images) - expected).max())

    # A comparison with NaN is False.
    if not difference <= MAX_PROBABILITY_DIFFERENCE:
        raise InputError(
            f"{paths.EXPORT / path.name}: a probability of a test row differs from PyTorch's "
            f"by {difference:.2g}, expected at most {MAX_PROBABILITY_DIFFERENCE:g}; export "
            "another model"
        )
    return difference


def predict_by_onnx(path: Path, images: NDArray[Any]) -> NDArray[np.float32]:
    """Return the probabilities (N, K) of stored images (N, C, H, W) by an ONNX file."""
    session = open_onnx(path)
    batches = []
    for start in range(0, len(images), BATCH_SIZE):
        pixels = to_pixels(images[start : start + BATCH_SIZE])
        batches.append(run_onnx(session, pixels).probabilities)
    return np.concatenate(batches)


def describe_model(name: str, params: Params, info: Info) -> dict[str, Any]:
    """Return what is known of a trained model of params.yaml: the content of model.json."""
    model = params.models[name]
    images = load_stored("train", info).images
    darkest = float(to_pixels(np.asarray(images.min())))
    brightest = float(to_pixels(np.asarray(images.max())))

    return {
        "name": name,
        "title": params.data.title,
        "classes": info.classes,
        "input": {
            "name": "image",
            "dtype": "float32",
            "shape": info.image_shape,
            "range": [darkest, brightest],
        },
        "training": {
            "arch": model.arch,
            "rows": len(images),
            "recipe": model.model_dump(exclude={"arch"}),
        },
        "metrics": read_metrics_of_model(name, params),
        "intended_use": INTENDED_USE,
        "versions": {package: version(package) for package in LISTED_PACKAGES},
    }


def read_metrics_of_model(name: str, params: Params) -> dict[str, dict[str, Any]]:
    """Return the metrics on the given split, and on new subjects if it was cross-validated."""
    files = {"given_split": paths.metrics(name)}
    if name in params.cross_validation.models:
        files["new_subjects"] = paths.new_subject_metrics(name)

    metrics_by_split = {}
    for split, file in files.items():
        metrics = read_metrics(file)
        if metrics:
            metrics_by_split[split] = metrics.to_json()
    return metrics_by_split
