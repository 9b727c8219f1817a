"""The metrics of a model or baseline, as metrics/NAME.json holds them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, recall_score

from mri_stages.evaluation.confidence import compute_accuracy_interval
from mri_stages.evaluation.roc_auc import compute_auc, list_scored_classes
from mri_stages.storage.predictions import Predictions
from mri_stages.storage.records import Metrics


def compute_metrics(
    predictions: Predictions,
    classes: Sequence[str],
    negative_label: int | None,
    loss: float = math.nan,
) -> Metrics:
    """Return the metrics, each row counted once. negative_label: see `build_roc_curves`."""
    labels = predictions.labels
    scored = list_scored_classes(predictions)
    unscored = [name for label, name in enumerate(classes) if label not in scored]
    interval = compute_accuracy_interval(predictions.correct, predictions.subjects)
    averaging: dict[str, Any] = {"labels": scored, "average": "macro", "zero_division": 0.0}
    return Metrics(
        accuracy=float(predictions.correct.mean()),
        ci_low=interval.low,
        ci_high=interval.high,
        balanced_accuracy=float(recall_score(labels, predictions.predicted, **averaging)),
        macro_f1=float(f1_score(labels, predictions.predicted, **averaging)),
        auc=compute_auc(predictions, negative_label),
        loss=loss if math.isfinite(loss) else None,
        unscored_classes=", ".join(unscored) or None,
    )


def compute_cross_entropy(predictions: Predictions) -> float:
    """Return the mean cross-entropy; infinity if a row's own class has probability 0."""
    indices = np.arange(len(predictions.labels))
    probabilities = predictions.probabilities[indices, predictions.labels].astype(np.float64)
    with np.errstate(divide="ignore"):  # a baseline may be certain, and wrong
        return float(-np.log(probabilities).mean())
