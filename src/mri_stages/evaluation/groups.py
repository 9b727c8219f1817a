"""How well a model does in groups of new subjects, such as women and men."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.evaluation.auc_differences import compute_bootstrap_p, resample_repeats
from mri_stages.evaluation.confidence import (
    compute_complete_interval,
    count_subjects,
    draw_weights,
    resample_figures,
)
from mri_stages.evaluation.probabilities import (
    Outcomes,
    build_outcomes,
    compute_calibration_intercepts,
)
from mri_stages.evaluation.roc_auc import (
    build_roc_curves,
    compute_auc_interval,
    compute_mean_auc,
    compute_weighted_aucs,
    count_least_class,
    list_scored_classes,
)
from mri_stages.storage.files import is_missing
from mri_stages.storage.groups import GroupResult
from mri_stages.storage.predictions import Predictions, select_predictions
from mri_stages.storage.subject_columns import Texts

MIN_SUBJECTS_OF_CLASS = 5  # of positives, and of negatives, in a group that is scored
UNKNOWN = "unknown"  # the group of the subjects without a value

UnitMask = NDArray[np.bool_]  # (U,) of subjects, once for each of their classes


class GroupOptions(NamedTuple):
    """What decides the figures of a group."""

    n_classes: int
    negative_label: int | None  # see `build_roc_curves`
    has_calibration: bool = True  # False for a baseline whose p is a vote


def mark_groups(texts: Texts) -> dict[str, UnitMask]:
    """Return the mask (U,) of each group, by its value, from a column's text of each unit (U,).

    Units without a value are the group UNKNOWN, which is the last one.
    """
    values = np.array([UNKNOWN if is_missing(text) else text for text in texts])
    names = sorted(set(values.tolist()), key=lambda name: (name == UNKNOWN, name))
    return {name: values == name for name in names}


def score_groups(
    model: str,
    repeats: Sequence[Predictions],
    texts_by_column: Mapping[str, Texts],
    options: GroupOptions,
) -> list[GroupResult]:
    """Return the figures of each group of each column; p is not corrected yet.

    repeats: of the same subjects, each once for each of its classes (U,), as the texts are.
    """
    results = []
    for column, texts in texts_by_column.items():
        for group, mask in mark_groups(texts).items():
            results.append(score_group(model, column, group, repeats, mask, options))
    return results


def score_group(
    model: str,
    column: str,
    group: str,
    repeats: Sequence[Predictions],
    mask: UnitMask,
    options: GroupOptions,
) -> GroupResult:
    """Return the figures of the units of a mask (U,): only counts where they are too few."""
    selected = [select_units(predictions, mask) for predictions in repeats]
    outcomes = build_outcomes(selected, options.n_classes, options.negative_label)
    n_subjects = count_subjects(mask, repeats[0].subjects)
    n_positive = None
    if outcomes is not None:
        n_positive = count_subjects(outcomes.positive_mask, selected[0].subjects)
    result = GroupResult(model, column, group, n_subjects, n_positive)

    auc = compute_mean_auc(selected, options.negative_label)
    if auc is None or not has_enough_subjects(selected[0], options.negative_label):
        return result
    interval = compute_auc_interval(selected, options.negative_label)
    result = result._replace(auc=auc, auc_low=interval.low, auc_high=interval.high)
    if outcomes is not None and options.has_calibration:
        result = add_calibration(result, outcomes, selected[0].subjects)
    other_units = select_units(repeats[0], ~mask)
    if has_enough_subjects(other_units, options.negative_label):
        result = add_difference(result, repeats, mask, options.negative_label)
    return result


def select_units(predictions: Predictions, mask: UnitMask) -> Predictions:
    """Return the units of a mask (U,), whose classes are scored where those of all units are.

    A class is scored that is in two folds or more. A group may lie in one fold: its networks
    learned the class from other subjects. So each unit of a scored class has a fold of its own
    here, from 1, and all other units have fold 0.
    """
    selected = select_predictions(predictions, mask)
    is_scored = np.isin(selected.labels, list_scored_classes(predictions))
    return selected._replace(folds=np.where(is_scored, 1 + np.arange(len(is_scored)), 0))


def has_enough_subjects(predictions: Predictions, negative_label: int | None) -> bool:
    """Return whether each side of each ROC curve has MIN_SUBJECTS_OF_CLASS subjects.

    predictions: of `select_units`. A class without subjects has no curve.
    """
    if not build_roc_curves(predictions, negative_label):
        return False
    if negative_label is None and predictions.folds is not None:
        _, counts = np.unique(predictions.labels[predictions.folds > 0], return_counts=True)
        if counts.min() < MIN_SUBJECTS_OF_CLASS:
            return False
    return count_least_class(predictions, negative_label) >= MIN_SUBJECTS_OF_CLASS


def add_calibration(
    result: GroupResult, outcomes: Outcomes, subjects: NDArray[np.int64] | None
) -> GroupResult:
    """Return the result with its calibration in the large, where that exists."""
    n_repeats, n_units = outcomes.probabilities.shape
    value = float(compute_calibration_intercepts(outcomes, np.ones((1, n_units))).mean())
    if not np.isfinite(value):
        return result
    result = result._replace(calibration_intercept=value)
    (resampled,) = resample_figures(
        lambda weights: compute_calibration_intercepts(outcomes, weights)[None],
        n_units,
        subjects,
        n_repeats,
    )
    interval = compute_complete_interval(resampled)
    if interval is None:
        return result
    return result._replace(
        calibration_intercept_low=interval.low, calibration_intercept_high=interval.high
    )


def add_difference(
    result: GroupResult,
    repeats: Sequence[Predictions],
    mask: UnitMask,
    negative_label: int | None,
) -> GroupResult:
    """Return the result with the difference of its AUC from that of all other subjects."""
    n_units = len(mask)
    differences = []
    with np.errstate(invalid="ignore"):  # 0 / 0 in a resample of one class
        for weights in (np.ones((1, n_units)), *draw_weights(n_units, repeats[0].subjects)):
            inside = compute_weighted_aucs(repeats, negative_label, weights * mask)
            outside = compute_weighted_aucs(repeats, negative_label, weights * ~mask)
            differences.append(inside - outside)
    all_differences = np.concatenate(differences, axis=1)
    value = float(all_differences[:, 0].mean())
    resampled = resample_repeats(all_differences[:, 1:])
    interval = compute_complete_interval(resampled)
    if interval is None or not np.isfinite(value):
        return result
    p = compute_bootstrap_p(resampled)
    return result._replace(
        difference=value,
        difference_low=interval.low,
        difference_high=interval.high,
        p=p.value,
        p_is_floor=p.is_floor,
    )
