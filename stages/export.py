"""Write a model for use elsewhere: an ONNX file with its scaler, and what is known of it."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.onnx import OnnxExporterError

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.errors import InputError
from mri_stages.export.onnx_file import BATCH, WithScaler, onnx_bytes, onnx_session
from mri_stages.models import make_network
from mri_stages.preprocessing.scaling import read_scaler
from mri_stages.reporting.page import render_page
from mri_stages.storage.arrays import to_pixels
from mri_stages.storage.dataset import Info, load_stored, read_info
from mri_stages.storage.files import read_json, write_atomically, write_bytes, write_json
from mri_stages.storage.predictions import read_predictions
from mri_stages.storage.records import Leakage, read_metrics
from mri_stages.storage.weights import load_weights

TOLERANCE = 1e-4  # of a probability, between ONNX and PyTorch
PACKAGES = ("torch", "onnx", "onnxruntime", "numpy", "scikit-learn")
INTENDED_USE = "Research and teaching. Not a medical device: not for diagnosis or treatment."


def main() -> None:
    params, info = read_params(), read_info()
    name = params.export.model
    with write_atomically(paths.EXPORT) as folder:
        folder.mkdir()
        model = folder / "model.onnx"
        try:
            write_bytes(model, onnx_bytes(with_scaler(name, params, info), info.image_shape))
        except OnnxExporterError as error:
            found = f"params.yaml: export.model is {name}, whose network has no ONNX form"
            first = str(error).strip().splitlines()[0]  # of pages
            raise InputError(f"{found} ({first}); export another model") from None
        largest = largest_difference(name, info, model)
        if not largest <= TOLERANCE:
            raise InputError(
                f"{paths.EXPORT / model.name}: a probability of a test row differs from PyTorch's "
                f"by {largest:.2g}, expected at most {TOLERANCE:g}; export another model"
            )
        described = description(name, params, info)
        write_json(folder / "model.json", described)
        sentence = read_json(paths.LEAKAGE, Leakage).sentence
        write_bytes(folder / "card.md", render_page("card.md.jinja", leakage=sentence, **described))
    print(f"{name}: ONNX and PyTorch differ by at most {largest:.1g} on the test rows")


def with_scaler(name: str, params: Params, info: Info) -> WithScaler:
    """Return the trained network of a model of params.yaml, in eval mode, with its scaler."""
    arch = params.models[name].arch
    network = make_network(arch, info.image_shape, len(info.classes), params.models[name].seed)
    load_weights(paths.weights(name), network)
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise InputError(f"{paths.weights(name)}: NaN, since the training diverged; lower its lr")
    scaler = read_scaler(paths.SCALER, info.image_shape)
    return WithScaler(network, *map(torch.from_numpy, scaler)).eval()


def largest_difference(name: str, info: Info, model: Path) -> float:
    """Return the largest difference of a probability of a test row from `evaluate`'s."""
    expected = read_predictions(paths.predictions(name), info.classes).probabilities
    session, images = onnx_session(model), load_stored("test", info).images
    batches = (to_pixels(images[start : start + BATCH]) for start in range(0, len(images), BATCH))
    found = [session.run(["probabilities"], {"image": batch})[0] for batch in batches]
    return float(abs(np.concatenate(found) - expected).max())


def description(name: str, params: Params, info: Info) -> dict[str, Any]:
    """Return what is known of the model: the content of model.json."""
    train = load_stored("train", info).images
    ends = [float(to_pixels(np.asarray(f(train)))) for f in (np.min, np.max)]
    recipe = params.models[name].model_dump(exclude={"arch"})
    found = {"given_split": read_metrics(paths.metrics(name))}
    if name in params.cross_validation.models:
        found["new_subjects"] = read_metrics(paths.new_subject_metrics(name))
    return {
        "name": name,
        "title": params.data.title,
        "classes": info.classes,
        "input": {"name": "image", "dtype": "float32", "shape": info.image_shape, "range": ends},
        "training": {"arch": params.models[name].arch, "rows": len(train), "recipe": recipe},
        "metrics": {split: metrics.to_json() for split, metrics in found.items() if metrics},
        "intended_use": INTENDED_USE,
        "versions": {package: version(package) for package in PACKAGES},
    }


if __name__ == "__main__":
    run_stage(main)
