"""Score baselines that train no network, and say what these data can show."""

from collections.abc import Sequence

import numpy as np

from mri_stages import paths
from mri_stages.baselines.majority import predict_majority
from mri_stages.baselines.new_subjects import (
    NewPredictions,
    Task,
    build_predictions,
    build_task,
    copy_neighbours,
    predict_new_subjects,
)
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.evaluation.metrics import compute_metrics
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.evaluation.new_subjects import (
    Options,
    compute_new_subject_metrics,
    count_confusion,
)
from mri_stages.evaluation.power import forecast
from mri_stages.preprocessing.nested_folds import assign_inner_folds
from mri_stages.storage.assignment import read_assignment
from mri_stages.storage.dataset import AllRows, load_all_rows, read_info
from mri_stages.storage.inner_predictions import write_inner_predictions
from mri_stages.storage.neighbours import GIVEN_SPLIT, NeighbourTable, read_neighbours
from mri_stages.storage.predictions import (
    Predictions,
    average_repeats_by_subject,
    write_predictions,
)
from mri_stages.storage.records import (
    VOTING_BASELINES,
    Metrics,
    write_metrics,
    write_new_subject_confusion,
    write_power,
)


def main() -> None:
    params = read_params()
    info = read_info()
    classes = info.classes
    negative_label = find_negative_label(params.evaluation.negative_class, classes)
    rows = load_all_rows(info)
    table = read_neighbours(paths.NEIGHBOURS, len(rows.labels))
    folds_of_repeats = read_assignment(rows)
    inner_folds_of_repeats = assign_inner_folds(
        rows, info.image_shape, folds_of_repeats, params.cross_validation
    )
    task = build_task(rows, folds_of_repeats, len(classes), negative_label, inner_folds_of_repeats)

    new_subjects = predict_new_subjects(task, table, params.evaluation.covariates or [])
    score_given_split(predict_given_split(rows, table, len(classes)), classes, negative_label)
    options = Options(negative_label, params.evaluation.threshold)
    score_new_subjects(new_subjects, classes, options)
    forecast_power(task, classes)


def predict_given_split(
    rows: AllRows, table: NeighbourTable, n_classes: int
) -> dict[str, Predictions]:
    """Return the predictions of the test rows from the training rows, by baseline."""
    groups = rows.test_mask.astype(np.int64)
    test_rows = np.flatnonzero(rows.test_mask)
    majority = predict_majority(rows.labels, groups, n_classes)[test_rows]
    test_mask = rows.test_mask[table.compared]
    nearest = copy_neighbours(rows, table, GIVEN_SPLIT, n_classes)[test_mask]
    return {
        "majority": build_predictions(rows, test_rows, majority),
        "nearest_neighbour": build_predictions(rows, table.compared[test_mask], nearest),
    }


def score_given_split(
    predictions: dict[str, Predictions], classes: Sequence[str], negative_label: int | None
) -> None:
    for name, baseline in predictions.items():
        write_metrics(paths.metrics(name), compute_metrics(baseline, classes, negative_label))


def score_new_subjects(
    predictions: dict[str, NewPredictions], classes: Sequence[str], options: Options
) -> None:
    """Write predictions, metrics and confusion; empty ones where the data do not allow any."""
    for name, (baseline, inner) in predictions.items():
        write_predictions(paths.folds(name), baseline, classes)
        write_inner_predictions(paths.inner(name), inner, classes)
        metrics = None
        cells = []
        if len(baseline.rows):
            cells = count_confusion(average_repeats_by_subject(baseline), classes)
            has_calibration = name not in VOTING_BASELINES
            baseline_options = options._replace(has_calibration=has_calibration)
            metrics = compute_new_subject_metrics(baseline, classes, baseline_options)
            print(f"{name}: {describe_auc(metrics)} by {metrics.by}")
        write_metrics(paths.new_subject_metrics(name), metrics)
        write_new_subject_confusion(name, cells)


def describe_auc(metrics: Metrics) -> str:
    """Return the AUC with its interval, as far as they exist."""
    if metrics.auc is None:
        return "no AUC"
    text = f"AUC {metrics.auc:.3f}"
    if metrics.auc_low is not None and metrics.auc_high is not None:
        text += f" ({metrics.auc_low:.3f} to {metrics.auc_high:.3f})"
    return text


def forecast_power(task: Task, classes: Sequence[str]) -> None:
    """Write and print what these data can show, whatever the model."""
    first_rows = task.units.first_rows
    folds = [row_folds[first_rows] for row_folds in task.folds_of_repeats]
    power = forecast(task.unit_labels, folds, classes, task.negative_label, task.unit_name)
    write_power(power)
    for sentence in power.sentences:
        print(sentence)


if __name__ == "__main__":
    run_stage(main)
