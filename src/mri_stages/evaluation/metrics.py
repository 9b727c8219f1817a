"""The metrics of a model or baseline, as metrics/NAME.json holds them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.evaluation.confidence import compute_accuracy_interval
from mri_stages.evaluation.roc_auc import compute_auc, list_scored_classes
from mri_stages.storage.predictions import Predictions
from mri_stages.storage.records import Metrics


class ClassMeans(NamedTuple):
    """Means over classes."""

    recall: float
    f1: float


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
    means = compute_class_means(labels, predictions.predicted, scored)
    return Metrics(
        accuracy=float(predictions.correct.mean()),
        ci_low=interval.low,
        ci_high=interval.high,
        balanced_accuracy=means.recall,
        macro_f1=means.f1,
        auc=compute_auc(predictions, negative_label),
        loss=loss if math.isfinite(loss) else None,
        unscored_classes=", ".join(unscored) or None,
    )


def compute_class_means(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], scored: Sequence[int]
) -> ClassMeans:
    """Return the mean recall and F1 of the scored classes, all of which have rows; 0 of none.

    They are scikit-learn's recall_score and f1_score. Its import takes longer than most stages.
    """
    if not scored:
        return ClassMeans(0.0, 0.0)
    n_classes = int(max(labels.max(), predicted.max())) + 1
    actual_counts = np.bincount(labels, minlength=n_classes)[scored]
    predicted_counts = np.bincount(predicted, minlength=n_classes)[scored]
    right_counts = np.bincount(labels[labels == predicted], minlength=n_classes)[scored]

    recalls = right_counts / actual_counts
    f1_scores = 2 * right_counts / (actual_counts + predicted_counts)
    return ClassMeans(float(recalls.mean()), float(f1_scores.mean()))


def compute_cross_entropy(predictions: Predictions) -> float:
    """Return the mean cross-entropy; infinity if a row's own class has probability 0."""
    indices = np.arange(len(predictions.labels))
    probabilities = predictions.probabilities[indices, predictions.labels].astype(np.float64)
    with np.errstate(divide="ignore"):  # a baseline may be certain, and wrong
        return float(-np.log(probabilities).mean())
