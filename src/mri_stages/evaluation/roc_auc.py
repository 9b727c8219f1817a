"""ROC curves of one class against others, and the area under them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from mri_stages.evaluation.confidence import Interval, Weights, bootstrap_interval
from mri_stages.storage.predictions import Predictions
from mri_stages.storage.records import RocPoint

MAX_ROC_POINTS = 200  # of all curves of a model together


class RocCurve(NamedTuple):
    """What a curve is computed from."""

    label: int  # of the class against the rest, or of the negative class
    positive_mask: NDArray[np.bool_]  # (N,)
    scores: NDArray[np.float32]  # (N,) a high score speaks for positive


def list_scored_classes(predictions: Predictions) -> list[int]:
    """Return the labels that have rows and that a model could learn.

    On folds, a class with all its rows in one fold has none to learn from when it is predicted.
    """
    labels = predictions.labels
    folds = predictions.folds
    known: list[int] = np.unique(labels).tolist()
    if folds is None:
        return known
    return [label for label in known if len(np.unique(folds[labels == label])) > 1]


def build_roc_curves(predictions: Predictions, negative_label: int | None) -> list[RocCurve]:
    """Return the curves that have positive and negative rows.

    With a `negative_label` it is one curve, of any other class against it. Without, it is one curve
    of each scored class against the rest.
    """
    labels = predictions.labels
    probabilities = predictions.probabilities
    if negative_label is None:
        curves = [
            RocCurve(label, labels == label, probabilities[:, label])
            for label in list_scored_classes(predictions)
        ]
    else:
        scores = -probabilities[:, negative_label]
        curves = [RocCurve(negative_label, labels != negative_label, scores)]
    return [curve for curve in curves if 0 < curve.positive_mask.sum() < len(labels)]


def compute_auc(predictions: Predictions, negative_label: int | None) -> float | None:
    """Return the mean area under the ROC curves; None without a curve, or where a p is NaN."""
    curves = build_roc_curves(predictions, negative_label)
    if not curves or np.isnan(predictions.probabilities).any():
        return None
    equal_weights = np.ones((1, len(predictions.labels)))
    areas = [compute_weighted_auc(curve, equal_weights)[0] for curve in curves]
    return float(np.mean(areas))


def compute_auc_interval(predictions: Predictions, negative_label: int | None) -> Interval:
    """Return the 95 % confidence interval of `compute_auc`, where that is not None."""
    curves = build_roc_curves(predictions, negative_label)
    return bootstrap_interval(
        lambda weights: [compute_weighted_auc(curve, weights) for curve in curves],
        len(predictions.labels),
        predictions.subjects,
    )


def compute_weighted_auc(curve: RocCurve, weights: Weights) -> NDArray[np.float64]:
    """Return the area under the curve for each of n weightings (n, N) of its rows.

    It is NaN without positives or negatives. Vectorised: roc_auc_score would sort once per
    weighting.
    """
    # Rows of equal scores form a group.
    order = np.argsort(curve.scores, kind="stable")
    sorted_weights = weights[:, order]
    sorted_positive_mask = curve.positive_mask[order]
    _, group_starts = np.unique(curve.scores[order], return_index=True)
    positive_weight = np.add.reduceat(sorted_weights * sorted_positive_mask, group_starts, axis=1)
    negative_weight = np.add.reduceat(sorted_weights * ~sorted_positive_mask, group_starts, axis=1)

    # A positive row beats the negative rows below it, and half of those with its own score.
    beaten_weight = negative_weight.cumsum(1) - negative_weight / 2
    n_pairs = positive_weight.sum(1) * negative_weight.sum(1)
    areas: NDArray[np.float64] = (positive_weight * beaten_weight).sum(1) / n_pairs
    return areas


def sample_roc_points(
    predictions: Predictions, classes: Sequence[str], negative_label: int | None
) -> list[RocPoint]:
    """Return at most MAX_ROC_POINTS points; above 100 curves, those of the first 100."""
    if np.isnan(predictions.probabilities).any():
        return []
    curves = build_roc_curves(predictions, negative_label)[: MAX_ROC_POINTS // 2]
    points = []
    for curve in curves:
        name = classes[curve.label]
        if negative_label is not None:
            name = f"not {name}"
        false_positive_rate, true_positive_rate, _ = roc_curve(curve.positive_mask, curve.scores)

        n_points = min(len(false_positive_rate), max(2, MAX_ROC_POINTS // len(curves)))
        indices = np.linspace(0, len(false_positive_rate) - 1, n_points).round().astype(int)
        for index in indices:
            point = RocPoint(
                name, float(false_positive_rate[index]), float(true_positive_rate[index])
            )
            points.append(point)
    return points
