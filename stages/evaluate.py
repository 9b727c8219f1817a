"""Evaluate one model on the test rows: `python -m stages.evaluate MODEL`."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Model
from mri_stages.console import parse_model_argument
from mri_stages.evaluation.metrics import compute_metrics
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.evaluation.roc_points import sample_roc_points
from mri_stages.models import average_logits
from mri_stages.preprocessing.split_rows import load_split_rows
from mri_stages.storage.dataset import Info, read_info
from mri_stages.storage.files import read_csv
from mri_stages.storage.history import Epoch, find_kept_epoch
from mri_stages.storage.predictions import Predictions, write_predictions
from mri_stages.storage.records import (
    ConfusionRow,
    write_confusion,
    write_metrics,
    write_roc_points,
)
from mri_stages.storage.unscaled_images import TrainingRows
from mri_stages.storage.weights import load_weights
from mri_stages.training.device import set_up_device
from mri_stages.training.fit import build_network, select_network
from mri_stages.training.images import to_images
from mri_stages.training.predict import predict_logits


def main() -> None:
    params = read_params()
    info = read_info()
    name = parse_model_argument("evaluate", params.models)
    negative_label = find_negative_label(params.evaluation.negative_class, info.classes)
    test = load_split_rows("test", info, params.data.scaled)
    history = read_csv(paths.history(name), Epoch)
    logits = predict_test_logits(name, params.models[name], info, test)

    probabilities = logits.softmax(1).numpy()
    row_indices = np.arange(len(test.labels))
    predictions = Predictions(row_indices, test.subjects, test.labels, probabilities)
    loss = float(torch.nn.functional.cross_entropy(logits.double(), torch.from_numpy(test.labels)))
    metrics = compute_metrics(predictions, info.classes, negative_label, loss)
    metrics = metrics.model_copy(
        update={"diverged": not math.isfinite(loss), "kept_epoch": find_kept_epoch(history)}
    )

    write_metrics(paths.metrics(name), metrics)
    write_predictions(paths.predictions(name), predictions, info.classes)
    write_confusion(name, name_classes(predictions, info.classes))
    write_roc_points(name, sample_roc_points(predictions, info.classes, negative_label))

    note = ", diverged" if metrics.diverged else ""
    print(
        f"{name}: accuracy {metrics.accuracy:.4f}, 95 % confidence interval "
        f"{metrics.ci_low:.4f} to {metrics.ci_high:.4f}{note}"
    )


def predict_test_logits(name: str, model: Model, info: Info, test: TrainingRows) -> torch.Tensor:
    """Return the logits (N, K) of the test rows, on the CPU, by the weights that `train` wrote."""
    device = set_up_device(model.threads)
    images = to_images(test.images)
    logits_by_network = []
    for network in load_networks(paths.weights(name), model, info):
        logits_by_network.append(predict_logits(network.to(device), images))
    return average_logits(logits_by_network)


def load_networks(path: Path, model: Model, info: Info) -> Iterator[nn.Module]:
    """Yield the trained networks of the model, of which one or two are in memory at a time."""
    for number in range(model.ensemble):
        network = build_network(select_network(model, number), info)
        load_weights(path, network, prefix="" if model.ensemble == 1 else f"{number}.")
        yield network


def name_classes(predictions: Predictions, classes: Sequence[str]) -> list[ConfusionRow]:
    """Return the names of the actual and the predicted class of each row."""
    return [
        ConfusionRow(classes[actual], classes[predicted])
        for actual, predicted in zip(predictions.labels, predictions.predicted, strict=True)
    ]


if __name__ == "__main__":
    run_stage(main)
