"""Score the cross-validation of one model on new subjects: `python -m stages.summarise MODEL`.

The metrics, and small tables for pictures: calibration, ROC, confusion and decision curve.
"""

from collections.abc import Sequence

import numpy as np

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.console import parse_model_argument
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.evaluation.new_subjects import (
    Options,
    compute_new_subject_metrics,
    count_confusion,
)
from mri_stages.evaluation.probabilities import (
    build_outcomes,
    list_calibration_points,
    list_decision_points,
)
from mri_stages.evaluation.roc_points import sample_mean_roc_points
from mri_stages.storage.dataset import read_info
from mri_stages.storage.predictions import (
    NO_EPOCH,
    Predictions,
    average_repeats_by_subject,
    has_predictions,
    read_predictions,
)
from mri_stages.storage.records import (
    write_calibration,
    write_decision,
    write_metrics,
    write_new_subject_confusion,
    write_new_subject_roc,
)


def main() -> None:
    params = read_params()
    classes = read_info().classes
    name = parse_model_argument("summarise", params.cross_validation.models)
    negative_label = find_negative_label(params.evaluation.negative_class, classes)

    if not has_predictions(paths.folds(name)):
        write_metrics(paths.new_subject_metrics(name), None)
        write_no_tables(name)
        print(f"note: {name} has no score on new subjects, since no folds are possible")
        return
    predictions = read_predictions(paths.folds(name), classes)
    has_diverged = bool(np.isnan(predictions.probabilities).any())
    options = Options(negative_label, params.evaluation.threshold)
    metrics = compute_new_subject_metrics(predictions, classes, options).model_copy(
        update={"diverged": has_diverged, **summarise_kept_epochs(predictions)}
    )
    write_metrics(paths.new_subject_metrics(name), metrics)
    write_tables(name, predictions, classes, negative_label)
    print(f"{name}: accuracy {metrics.accuracy:.4f} by {metrics.by}")


def write_no_tables(name: str) -> None:
    """Write tables with a header only."""
    write_calibration(name, [])
    write_decision(name, [])
    write_new_subject_roc(name, [])
    write_new_subject_confusion(name, [])


def write_tables(
    name: str, predictions: Predictions, classes: Sequence[str], negative_label: int | None
) -> None:
    """Write the tables of new subjects, with a header only where a curve does not exist."""
    repeats = average_repeats_by_subject(predictions)
    write_new_subject_confusion(name, count_confusion(repeats, classes))
    write_new_subject_roc(name, sample_mean_roc_points(repeats, classes, negative_label))

    outcomes = build_outcomes(repeats, len(classes), negative_label)
    write_calibration(name, [] if outcomes is None else list_calibration_points(outcomes))
    write_decision(name, [] if outcomes is None else list_decision_points(outcomes))


def summarise_kept_epochs(predictions: Predictions) -> dict[str, float | int]:
    """Return the median, the least and the greatest kept epoch of the folds, where there is one."""
    if predictions.kept_epochs is None or predictions.folds is None or predictions.repeats is None:
        return {}
    folds_of_rows = np.stack([predictions.repeats, predictions.folds])
    _, first_rows = np.unique(folds_of_rows, axis=1, return_index=True)
    kept_epochs = predictions.kept_epochs[first_rows]
    kept_epochs = kept_epochs[kept_epochs != NO_EPOCH]
    if len(kept_epochs) == 0:
        return {}
    median = float(np.median(kept_epochs))
    return {
        "kept_epoch": int(median) if median.is_integer() else median,
        "kept_epoch_low": int(kept_epochs.min()),
        "kept_epoch_high": int(kept_epochs.max()),
    }


if __name__ == "__main__":
    run_stage(main)
