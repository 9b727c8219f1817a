"""The metrics and tables of a cross-validation, over subjects and repeats."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.evaluation.confidence import (
    Interval,
    Weights,
    compute_complete_interval,
    compute_percentile_interval,
    compute_share_interval,
    count_subjects,
    resample_figures,
)
from mri_stages.evaluation.fold_auc import summarise_auc_by_fold
from mri_stages.evaluation.metrics import compute_cross_entropy, compute_metrics
from mri_stages.evaluation.probabilities import (
    FiguresByName,
    Outcomes,
    build_outcomes,
    compute_brier_figures,
    compute_calibration_figures,
    compute_decision_figures,
)
from mri_stages.evaluation.roc_auc import (
    compute_auc_interval,
    compute_mean_auc,
    list_scored_classes,
)
from mri_stages.storage.predictions import Predictions, average_repeats_by_subject
from mri_stages.storage.records import ConfusionCell, Metrics

MAX_CONFUSION_CELLS = 200
MEAN_KEYS = ("accuracy", "balanced_accuracy", "macro_f1", "loss")


class Options(NamedTuple):
    """What decides the two-class figures."""

    negative_label: int | None  # see `build_outcomes`
    threshold: float | None = None  # of p, from which a subject is called positive; None: no calls
    has_calibration: bool = True  # False for a baseline whose p is a vote, and often 0 or 1


def compute_new_subject_metrics(
    row_predictions: Predictions, classes: Sequence[str], options: Options
) -> Metrics:
    """Return the metrics, each subject (without ids, each row) counted once in each repeat.

    A figure is the mean of that of each repeat; probabilities are never averaged over repeats.
    """
    repeats = average_repeats_by_subject(row_predictions)
    metrics = average_metrics(repeats, classes, options.negative_label)
    subjects = repeats[0].subjects
    update: dict[str, Any] = {"by": "row" if subjects is None else "subject"}
    if subjects is not None:
        update["subjects"] = len(np.unique(subjects))
    if row_predictions.repeats is not None:
        update["repeats"] = len(repeats)

    if len(repeats) > 1:
        interval = compute_mean_accuracy_interval(repeats, metrics.accuracy)
        update["ci_low"] = interval.low
        update["ci_high"] = interval.high
    if metrics.auc is not None:
        interval = compute_auc_interval(repeats, options.negative_label)
        update["auc_low"] = interval.low
        update["auc_high"] = interval.high
        update |= summarise_auc_by_fold(repeats, options.negative_label)
    outcomes = build_outcomes(repeats, len(classes), options.negative_label)
    if outcomes is not None:
        update |= compute_two_class_figures(outcomes, subjects, options)
    return metrics.model_copy(update=update)


def average_metrics(
    repeats: Sequence[Predictions], classes: Sequence[str], negative_label: int | None
) -> Metrics:
    """Return the means over repeats. A figure that a repeat lacks is left out.

    A class that is not scored in a repeat is named. Intervals are those of the first repeat.
    """
    metrics_of_repeats = []
    for predictions in repeats:
        loss = compute_cross_entropy(predictions)
        metrics_of_repeats.append(compute_metrics(predictions, classes, negative_label, loss))

    means: dict[str, Any] = {"auc": compute_mean_auc(repeats, negative_label)}
    for key in MEAN_KEYS:
        values = [getattr(metrics, key) for metrics in metrics_of_repeats]
        means[key] = None if None in values else float(np.mean(values))

    scored = set(range(len(classes)))
    for predictions in repeats:
        scored &= {*list_scored_classes(predictions)}
    unscored = [name for label, name in enumerate(classes) if label not in scored]
    means["unscored_classes"] = ", ".join(unscored) or None
    return metrics_of_repeats[0].model_copy(update=means)


def compute_mean_accuracy_interval(repeats: Sequence[Predictions], accuracy: float) -> Interval:
    """Return the interval of the mean accuracy, over subjects (without ids, rows) and repeats."""
    correct = np.stack([predictions.correct for predictions in repeats])
    subjects = repeats[0].subjects
    (values,) = resample_figures(
        lambda weights: (correct @ weights.T / weights.sum(1))[None],
        correct.shape[1],
        subjects,
        len(repeats),
    )
    interval = compute_share_interval(
        values, accuracy, count_subjects(np.ones(correct.shape[1], bool), subjects)
    )
    return interval or compute_percentile_interval(values)


def compute_two_class_figures(
    outcomes: Outcomes, subjects: NDArray[np.int64] | None, options: Options
) -> dict[str, float]:
    """Return the two-class figures and their intervals, without those that do not exist."""

    def compute_figures(weights: Weights) -> FiguresByName:
        figures = compute_brier_figures(outcomes, weights)
        if options.has_calibration:
            figures |= compute_calibration_figures(outcomes, weights)
        if options.threshold is not None:
            figures |= compute_decision_figures(outcomes, weights, options.threshold)
        return figures

    n_repeats, n_subjects = outcomes.probabilities.shape
    figures = compute_figures(np.ones((1, n_subjects)))
    resampled = resample_figures(
        lambda weights: np.stack([*compute_figures(weights).values()]),
        n_subjects,
        subjects,
        n_repeats,
    )

    masks_of_shares: dict[str, NDArray[np.bool_]] = {}
    if options.threshold is not None:
        masks_of_shares = mark_subjects_of_shares(outcomes, options.threshold)
    update: dict[str, float] = {}
    for (name, values), samples in zip(figures.items(), resampled, strict=True):
        value = float(values.mean())
        if not np.isfinite(value):
            continue
        update[name] = value
        if name in masks_of_shares:
            counts = [count_subjects(mask, subjects) for mask in masks_of_shares[name]]
            interval = compute_share_interval(samples, value, min(counts))
        else:
            interval = compute_complete_interval(samples)
        if interval is not None:
            update[f"{name}_low"] = interval.low
            update[f"{name}_high"] = interval.high
    return update


def mark_subjects_of_shares(outcomes: Outcomes, threshold: float) -> dict[str, NDArray[np.bool_]]:
    """Return, for each share, the mask (R, S) of the subjects that it is a share of."""
    called_mask = outcomes.probabilities >= threshold
    positive_mask = np.broadcast_to(outcomes.positive_mask, called_mask.shape)
    return {
        "sensitivity": positive_mask,
        "specificity": ~positive_mask,
        "ppv": called_mask,
        "npv": ~called_mask,
    }


def count_confusion(repeats: Sequence[Predictions], classes: Sequence[str]) -> list[ConfusionCell]:
    """Return the mean over repeats of the number of subjects by actual and predicted class.

    The predicted class is the one with the highest mean probability over a subject's rows. Above
    MAX_CONFUSION_CELLS pairs of classes, they are the diagonal and the most frequent errors.
    """
    n_classes = len(classes)
    sums = np.zeros((n_classes, n_classes))
    for predictions in repeats:
        np.add.at(sums, (predictions.labels, predictions.predicted), 1)
    counts = sums / len(repeats)
    totals = np.bincount(repeats[0].labels, minlength=n_classes)

    # The order of the cells: all in the order of the classes, or the diagonal and errors.
    actual, predicted = np.indices(counts.shape).reshape(2, -1)
    if len(actual) > MAX_CONFUSION_CELLS:
        rank = np.where(actual == predicted, -np.inf, -counts[actual, predicted])
        kept_cells = np.sort(np.argsort(rank, kind="stable")[:MAX_CONFUSION_CELLS])
        actual = actual[kept_cells]
        predicted = predicted[kept_cells]
    return [
        ConfusionCell(classes[row], classes[column], float(counts[row, column]), int(totals[row]))
        for row, column in zip(actual, predicted, strict=True)
    ]
