"""ROC curves of one class against others, and the area under them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from mri_stages.evaluation.confidence import (
    Interval,
    Weights,
    compute_exact_interval,
    compute_percentile_interval,
    count_subjects,
    resample_figures,
)
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


def sample_mean_roc_points(
    repeats: Sequence[Predictions], classes: Sequence[str], negative_label: int | None
) -> list[RocPoint]:
    """Return the mean over repeats of the ROC curves, in at most MAX_ROC_POINTS points.

    Of two classes there is one curve, else one of each class that is scored in all repeats; above
    50 curves, those of the first 50. None where a p is NaN.
    """
    if any(np.isnan(predictions.probabilities).any() for predictions in repeats):
        return []
    curves_by_label: dict[int, list[RocCurve]] = {}
    for predictions in repeats:
        for curve in build_roc_curves(predictions, negative_label):
            curves_by_label.setdefault(curve.label, []).append(curve)
    if negative_label is None and len(classes) == 2:
        curves_by_label.pop(0, None)
    complete = [curves for curves in curves_by_label.values() if len(curves) == len(repeats)]
    complete = complete[: MAX_ROC_POINTS // 4]

    points = []
    for curves in complete:
        name = classes[curves[0].label]
        if negative_label is not None:
            name = f"not {name}"
        n_steps = max(2, MAX_ROC_POINTS // (2 * len(complete)))
        points += [RocPoint(name, *point) for point in trace_mean_curve(curves, n_steps)]
    return points


def trace_mean_curve(curves: Sequence[RocCurve], n_steps: int) -> list[tuple[float, float]]:
    """Return the mean of the curves of the same rows, at up to `n_steps` shares of negatives.

    A point is a false and a true positive rate. A share has two points where the curve rises.
    """
    n_negatives = int((~curves[0].positive_mask).sum())
    n_steps = min(n_steps, n_negatives + 1)
    steps = np.unique(np.linspace(0, n_negatives, n_steps).round().astype(np.int64))
    lows = []
    highs = []
    for curve in curves:
        low, high = find_true_positive_rates(curve, steps)
        lows.append(low)
        highs.append(high)

    points = []
    for step, low, high in zip(steps, np.mean(lows, 0), np.mean(highs, 0), strict=True):
        points.append((float(step / n_negatives), float(low)))
        if high > low:
            points.append((float(step / n_negatives), float(high)))
    return points


def find_true_positive_rates(
    curve: RocCurve, steps: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and the greatest true positive rate (n,) at so many false positives (n,)."""
    false_rates, true_rates, _ = roc_curve(curve.positive_mask, curve.scores)
    n_negatives = (~curve.positive_mask).sum()
    false_counts = (false_rates * n_negatives).round().astype(np.int64)
    counts, first_indices = np.unique(false_counts, return_index=True)
    last_indices = np.append(first_indices[1:], len(false_counts)) - 1

    # Between two counts the curve is a line, from the last point of one to the first of the other.
    at_indices = np.searchsorted(counts, steps, side="right") - 1
    next_indices = np.minimum(at_indices + 1, len(counts) - 1)
    widths = np.maximum(counts[next_indices] - counts[at_indices], 1)
    shares = (steps - counts[at_indices]) / widths
    starts = true_rates[last_indices[at_indices]]
    line = starts + shares * (true_rates[first_indices[next_indices]] - starts)
    low = np.where(shares > 0, line, true_rates[first_indices[at_indices]])
    return low, line
