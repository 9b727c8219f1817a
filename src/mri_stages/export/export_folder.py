"""The content of an export folder: a trained model for use elsewhere, and model.json."""

from importlib.metadata import version
from typing import Any

import torch
from torch.onnx import OnnxExporterError

from mri_stages import paths
from mri_stages.config.schema import Params
from mri_stages.errors import InputError
from mri_stages.export.onnx_file import (
    ScaledNetwork,
    check_batch_sizes,
    encode_onnx,
    find_exporter_reason,
)
from mri_stages.export.row_set import SetFigures
from mri_stages.models import make_networks
from mri_stages.preprocessing.scaler import read_scaler
from mri_stages.storage.dataset import Info
from mri_stages.storage.file_counts import FILES_KEY
from mri_stages.storage.files import read_json
from mri_stages.storage.records import read_metrics
from mri_stages.storage.weights import load_weights

# The files of an export folder.
ONNX_FILE = "model.onnx"
DESCRIPTION_FILE = "model.json"
CARD_FILE = "card.md"
HASHES_FILE = "rows.sha256.npy"  # (N,) uint64, of the training rows, see `hash_image`

LISTED_PACKAGES = ("torch", "onnx", "onnxruntime", "numpy", "scikit-learn")
INTENDED_USE = "Research and teaching. Not a medical device: not for diagnosis or treatment."


def load_scaled_network(name: str, params: Params, info: Info) -> ScaledNetwork:
    """Return the trained network of a model of params.yaml with its scaler, in eval mode.

    InputError if its training diverged.
    """
    model = params.models[name]
    network = make_networks(
        model.ensemble,
        model.arch,
        info.image_shape,
        len(info.classes),
        model.seed,
        model.options,
    )
    load_weights(paths.weights(name), network)
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise InputError(f"{paths.weights(name)}: NaN, since the training diverged; lower its lr")

    mean, scale = read_scaler(paths.SCALER, info.image_shape)
    return ScaledNetwork(network, torch.from_numpy(mean), torch.from_numpy(scale)).eval()


def encode_model(name: str, params: Params, info: Info) -> bytes:
    """Return the content of the ONNX file of a trained model of params.yaml.

    InputError if its network has no ONNX form, or none for every number of images.
    """
    network = load_scaled_network(name, params, info)
    file = f"src/mri_stages/models/{params.models[name].arch}.py"
    try:
        content = encode_onnx(network, info.image_shape)
        check_batch_sizes(content, network, info.image_shape)
    except OnnxExporterError as error:
        raise InputError(
            f"params.yaml: export.model is {name}, whose network ({file}) has no ONNX form: "
            f"{find_exporter_reason(error)}; export another model, or none: `export: {{}}`"
        ) from None
    except ValueError as error:
        raise InputError(
            f"params.yaml: export.model is {name} ({file}), but {error}; write x.shape[0] in place "
            "of len(x) where the batch is fixed, export another model, or none: `export: {}`"
        ) from None
    return content


def describe_model(
    name: str, params: Params, info: Info, training_set: SetFigures
) -> dict[str, Any]:
    """Return what is known of a trained model of params.yaml: the content of model.json."""
    model = params.models[name]
    return {
        "name": name,
        "title": params.data.title,
        "classes": info.classes,
        "negative_class": params.evaluation.negative_class,
        "input": {
            "name": "image",
            "dtype": "float32",
            "shape": info.image_shape,
            "range": [training_set.darkest, training_set.brightest],
        },
        "import": read_import_options_alone(),
        "training": {
            "arch": model.arch,
            "rows": training_set.rows,
            "recipe": model.model_dump(exclude={"arch"}, exclude_defaults=True),
        },
        "training_set": training_set.to_json(),
        "metrics": read_metrics_of_model(name, params),
        "intended_use": INTENDED_USE,
        "versions": {package: version(package) for package in LISTED_PACKAGES},
    }


def read_import_options_alone() -> dict[str, Any]:
    """Return the options in import.json, without the counts of files; none without an import."""
    content: dict[str, Any] = read_json(paths.IMPORT_OPTIONS, dict)
    content.pop(FILES_KEY, None)
    return content


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
