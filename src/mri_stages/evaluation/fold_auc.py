"""The mean of the AUCs of the folds: scores of different folds are never compared."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.evaluation.confidence import (
    Interval,
    Weights,
    compute_complete_interval,
    compute_exact_interval,
    resample_figures,
)
from mri_stages.evaluation.roc_auc import (
    RocCurve,
    average_weighted_aucs,
    build_roc_curves,
    count_least_class,
    list_scored_classes,
)
from mri_stages.storage.predictions import Predictions, select_predictions


class FoldCurves(NamedTuple):
    """What the AUC of one fold is computed from."""

    row_mask: NDArray[np.bool_]  # (N,) of the rows of the repeat
    curves: list[RocCurve]  # of these rows; none where the fold has no AUC


CurvesOfFolds = dict[int, FoldCurves]  # of one repeat, by the number of the fold


def compute_auc_by_fold(repeats: Sequence[Predictions], negative_label: int | None) -> float | None:
    """Return the mean over repeats of the mean AUC of their folds that have one; None without.

    repeats: each subject once. There is none without folds, or where a p is NaN.
    """
    if has_missing_probabilities(repeats):
        return None
    return average_auc_by_fold(repeats, build_curves_of_repeats(repeats, negative_label))


def summarise_auc_by_fold(
    repeats: Sequence[Predictions], negative_label: int | None
) -> dict[str, Any]:
    """Return the keys of `Metrics` on the AUC by fold; none where there is no such figure."""
    if has_missing_probabilities(repeats):
        return {}
    curves_of_repeats = build_curves_of_repeats(repeats, negative_label)
    value = average_auc_by_fold(repeats, curves_of_repeats)
    if value is None:
        return {}
    update: dict[str, Any] = {"auc_by_fold": value}
    interval = compute_interval(repeats, curves_of_repeats, negative_label, value)
    if interval is not None:
        update["auc_by_fold_low"] = interval.low
        update["auc_by_fold_high"] = interval.high
    unscored_folds = list_unscored_folds(curves_of_repeats)
    if unscored_folds:
        update["unscored_folds"] = ", ".join(unscored_folds)
    return update


def has_missing_probabilities(repeats: Sequence[Predictions]) -> bool:
    """Return whether a p is NaN, as those of a diverged network are: it cannot be ranked."""
    return any(np.isnan(repeat.probabilities).any() for repeat in repeats)


def build_curves_of_repeats(
    repeats: Sequence[Predictions], negative_label: int | None
) -> list[CurvesOfFolds]:
    return [build_fold_curves(repeat, negative_label) for repeat in repeats]


def average_auc_by_fold(
    repeats: Sequence[Predictions], curves_of_repeats: Sequence[CurvesOfFolds]
) -> float | None:
    """Return the figure of `compute_auc_by_fold`; None if no fold of a repeat has an AUC."""
    for curves_of_folds in curves_of_repeats:
        if not any(fold.curves for fold in curves_of_folds.values()):
            return None
    equal_weights = np.ones((1, len(repeats[0].labels)))
    return float(average_folds(curves_of_repeats, equal_weights).mean())


def compute_interval(
    repeats: Sequence[Predictions],
    curves_of_repeats: Sequence[CurvesOfFolds],
    negative_label: int | None,
    value: float,
) -> Interval | None:
    """Return the 95 % confidence interval of the AUC by fold, which is `value`.

    It is the bootstrap of subjects within their folds. Of several repeats it draws repeats too, and
    subjects from all folds: each repeat has other folds, and all of them have the same subjects.
    Where each fold parts its classes it is the exact interval, as that of the AUC is.
    """
    if value in (0, 1):
        n_subjects = count_least_class(repeats[0], negative_label)
        return compute_exact_interval(round(value * n_subjects), n_subjects)
    (values,) = resample_figures(
        lambda weights: average_folds(curves_of_repeats, weights)[None],
        len(repeats[0].labels),
        repeats[0].subjects,
        len(repeats),
        repeats[0].folds if len(repeats) == 1 else None,
    )
    return compute_complete_interval(values)


def build_fold_curves(predictions: Predictions, negative_label: int | None) -> CurvesOfFolds:
    """Return the curves of each fold of one repeat, by its number; nothing without folds."""
    if predictions.folds is None:
        return {}
    learnable_labels = list_scored_classes(predictions)
    curves_of_folds = {}
    for fold in np.unique(predictions.folds):
        row_mask = predictions.folds == fold
        fold_predictions = select_predictions(predictions, row_mask)._replace(folds=None)
        curves = build_roc_curves(fold_predictions, negative_label)
        if negative_label is None:
            curves = [curve for curve in curves if curve.label in learnable_labels]
        curves_of_folds[int(fold)] = FoldCurves(row_mask, curves)
    return curves_of_folds


def compute_fold_aucs(predictions: Predictions, negative_label: int | None) -> dict[int, float]:
    """Return the AUC of each fold of one repeat that has one, by its number."""
    aucs = {}
    for fold, (row_mask, curves) in build_fold_curves(predictions, negative_label).items():
        if curves and not np.isnan(predictions.probabilities[row_mask]).any():
            equal_weights = np.ones((1, int(row_mask.sum())))
            aucs[fold] = float(average_weighted_aucs(curves, equal_weights)[0])
    return aucs


def average_folds(
    curves_of_repeats: Sequence[CurvesOfFolds], weights: Weights
) -> NDArray[np.float64]:
    """Return the mean AUC (R, n) of the folds of each repeat, for n weightings (n, N) of its rows.

    A fold without an AUC in a weighting is left out there; NaN where that is every fold.
    """
    means = np.full((len(curves_of_repeats), len(weights)), np.nan)
    for repeat, curves_of_folds in enumerate(curves_of_repeats):
        aucs = [
            average_weighted_aucs(fold.curves, weights[:, fold.row_mask])
            for fold in curves_of_folds.values()
            if fold.curves
        ]
        if aucs:
            means[repeat] = np.ma.masked_invalid(aucs).mean(0).filled(np.nan)
    return means


def list_unscored_folds(curves_of_repeats: Sequence[CurvesOfFolds]) -> list[str]:
    """Return the folds without an AUC, from 0, such as `2`, or `1.2` for fold 2 of repeat 1."""
    names = []
    for repeat, curves_of_folds in enumerate(curves_of_repeats):
        for fold, content in curves_of_folds.items():
            if not content.curves:
                names.append(str(fold) if len(curves_of_repeats) == 1 else f"{repeat}.{fold}")
    return names
