"""The points of ROC curves, for tables and pictures: few of them, whatever the number of rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mri_stages.evaluation.roc_auc import RocCurve, build_roc_curves
from mri_stages.storage.predictions import Predictions
from mri_stages.storage.records import RocPoint

Rates = NDArray[np.float64]

MAX_ROC_POINTS = 200  # of all curves of a model together
MAX_ROC_CURVES = 10  # of more, each would have too few points to look like itself


def sample_roc_points(
    predictions: Predictions, classes: Sequence[str], negative_label: int | None
) -> list[RocPoint]:
    """Return at most MAX_ROC_POINTS points, of the first MAX_ROC_CURVES curves."""
    if np.isnan(predictions.probabilities).any():
        return []
    curves = build_roc_curves(predictions, negative_label)[:MAX_ROC_CURVES]
    points = []
    for curve in curves:
        name = classes[curve.label]
        if negative_label is not None:
            name = f"not {name}"
        false_positive_rate, true_positive_rate = trace_curve(curve)

        n_points = min(len(false_positive_rate), MAX_ROC_POINTS // len(curves))
        indices = np.linspace(0, len(false_positive_rate) - 1, n_points).round().astype(int)
        for index in indices:
            point = RocPoint(
                name, float(false_positive_rate[index]), float(true_positive_rate[index])
            )
            points.append(point)
    return points


def trace_curve(curve: RocCurve) -> tuple[Rates, Rates]:
    """Return the false and the true positive rate (n,) of each corner, from (0, 0) to (1, 1).

    They are those of scikit-learn's roc_curve. Its import takes longer than most stages.
    """
    order = np.argsort(-curve.scores, kind="stable")
    sorted_scores = curve.scores[order]
    last_indices = np.append(np.flatnonzero(np.diff(sorted_scores)), len(order) - 1)
    true_counts = curve.positive_mask[order].cumsum()[last_indices]
    false_counts = 1 + last_indices - true_counts

    # A point on the line between its neighbours is not a corner.
    is_corner = np.ones(len(last_indices), np.bool_)
    is_corner[1:-1] = (np.diff(false_counts, 2) != 0) | (np.diff(true_counts, 2) != 0)
    false_counts = np.append(0, false_counts[is_corner])
    true_counts = np.append(0, true_counts[is_corner])
    return false_counts / false_counts[-1], true_counts / true_counts[-1]


def sample_mean_roc_points(
    repeats: Sequence[Predictions], classes: Sequence[str], negative_label: int | None
) -> list[RocPoint]:
    """Return the mean over repeats of the ROC curves, in at most MAX_ROC_POINTS points.

    Of two classes there is one curve, else one of each class that is scored in all repeats, but
    only the first MAX_ROC_CURVES of them. None where a p is NaN.
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
    complete = complete[:MAX_ROC_CURVES]

    points = []
    for curves in complete:
        name = classes[curves[0].label]
        if negative_label is not None:
            name = f"not {name}"
        n_steps = MAX_ROC_POINTS // (2 * len(complete))
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


def find_true_positive_rates(curve: RocCurve, steps: NDArray[np.int64]) -> tuple[Rates, Rates]:
    """Return the least and the greatest true positive rate (n,) at so many false positives (n,)."""
    false_rates, true_rates = trace_curve(curve)
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
