"""Evaluate one model on the test rows: `python -m stages.evaluate MODEL`."""

import math

import numpy as np
import torch

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.console import parse_model_argument
from mri_stages.evaluation.metrics import compute_metrics, find_negative_label, sample_roc_points
from mri_stages.storage.dataset import load_scaled, read_info
from mri_stages.storage.files import write_csv, write_json
from mri_stages.storage.predictions import Predictions, write_predictions
from mri_stages.storage.records import Prediction, RocPoint
from mri_stages.storage.weights import load_weights
from mri_stages.training.device import set_up_device
from mri_stages.training.fit import build_network
from mri_stages.training.predict import predict_logits


def main() -> None:
    params, info = read_params(), read_info()
    name = parse_model_argument("evaluate", params.models)
    negative = find_negative_label(params.evaluation.negative_class, info.classes)
    test = load_scaled("test", info)
    model = params.models[name]
    device = set_up_device(model.threads)
    network = build_network(model, info)
    load_weights(paths.weights(name), network)

    logits = predict_logits(network.to(device), torch.from_numpy(test.images))
    labels = torch.from_numpy(test.labels)
    loss = float(torch.nn.functional.cross_entropy(logits.double(), labels))
    diverged = not math.isfinite(loss)
    rows = np.arange(len(test.labels))
    found = Predictions(rows, test.subjects, test.labels, logits.softmax(1).numpy())
    metrics = compute_metrics(found, info.classes, negative, loss).model_copy(
        update={"diverged": diverged}
    )
    write_json(paths.metrics(name), metrics.to_json())
    write_predictions(paths.predictions(name), found, info.classes)
    table = np.array(info.classes)[np.stack([test.labels, found.predicted], axis=1)]
    write_csv(paths.confusion(name), Prediction._fields, table)
    write_csv(paths.roc(name), RocPoint._fields, sample_roc_points(found, info.classes, negative))
    interval = f"{metrics.ci_low:.4f} to {metrics.ci_high:.4f}{', diverged' if diverged else ''}"
    print(f"{name}: accuracy {metrics.accuracy:.4f}, 95 % confidence interval {interval}")


if __name__ == "__main__":
    run_stage(main)
