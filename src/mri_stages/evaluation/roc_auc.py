"""The area under ROC curves of one class against others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.evaluation.confidence import (
    Interval,
    Weights,
    compute_exact_interval,
    compute_percentile_interval,
    count_subjects,
    resample_figures,
)
from mri_stages.storage.predictions import Predictions


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


def compute_mean_auc(repeats: Sequence[Predictions], negative_label: int | None) -> float | None:
    """Return the mean of the AUC of each repeat; None if a repeat has none."""
    aucs = []
    for predictions in repeats:
        auc = compute_auc(predictions, negative_label)
        if auc is None:
            return None
        aucs.append(auc)
    return float(np.mean(aucs))


def compute_auc_interval(repeats: Sequence[Predictions], negative_label: int | None) -> Interval:
    """Return the 95 % confidence interval of `compute_mean_auc`, where that is not None.

    It is the bootstrap over subjects and repeats. Where each curve of each repeat parts its
    classes, there is nothing to resample: it is the exact interval of n of n subjects, n those of
    the smallest class (or of 0 of n).
    """
    (aucs,) = resample_figures(
        lambda weights: compute_weighted_aucs(repeats, negative_label, weights)[None],
        len(repeats[0].labels),
        repeats[0].subjects,
        len(repeats),
    )
    interval = compute_percentile_interval(aucs)
    if interval.low == interval.high and interval.low in (0, 1):
        n_subjects = count_least_class(repeats[0], negative_label)
        return compute_exact_interval(round(interval.low * n_subjects), n_subjects)
    return interval


def count_least_class(predictions: Predictions, negative_label: int | None) -> int:
    """Return the least number of subjects (without ids, of rows) on one side of a curve."""
    counts = []
    for curve in build_roc_curves(predictions, negative_label):
        counts.append(count_subjects(curve.positive_mask, predictions.subjects))
        counts.append(count_subjects(~curve.positive_mask, predictions.subjects))
    return min(counts)


def compute_weighted_aucs(
    repeats: Sequence[Predictions], negative_label: int | None, weights: Weights
) -> NDArray[np.float64]:
    """Return the AUC (R, n) of each repeat for each of n weightings (n, N) of the same rows.

    It is NaN for a weighting without rows for any curve.
    """
    aucs = np.full((len(repeats), len(weights)), np.nan)
    for repeat, predictions in enumerate(repeats):
        curves = build_roc_curves(predictions, negative_label)
        if curves:
            aucs[repeat] = average_weighted_aucs(curves, weights)
    return aucs


def average_weighted_aucs(curves: Sequence[RocCurve], weights: Weights) -> NDArray[np.float64]:
    """Return the mean area (n,) of the curves that have one; NaN where none has."""
    areas = [compute_weighted_auc(curve, weights) for curve in curves]
    means: NDArray[np.float64] = np.ma.masked_invalid(areas).mean(0).filled(np.nan)
    return means


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
