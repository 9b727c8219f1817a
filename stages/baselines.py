"""Score baselines that train no network: majority, nearest neighbour and a linear model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.baselines.linear import compute_mean_images, predict_linear
from mri_stages.baselines.majority import predict_majority
from mri_stages.baselines.nearest_neighbours import sample_rows
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import BASELINES
from mri_stages.evaluation.metrics import compute_metrics, find_negative_label
from mri_stages.evaluation.new_subjects import Options, compute_new_subject_metrics
from mri_stages.preprocessing.folds import assign_folds_of_repeats
from mri_stages.storage.dataset import AllRows, load_all_rows, read_info
from mri_stages.storage.neighbours import (
    GIVEN_SPLIT,
    NeighbourTable,
    name_subject_folds,
    read_neighbours,
)
from mri_stages.storage.predictions import Predictions, join_repeats, write_predictions
from mri_stages.storage.records import write_metrics

# Their p is a share of votes, often 0 or 1, and no probability that could be calibrated.
VOTING_BASELINES = ("majority", "nearest_neighbour")

N_PENALTY_FITS = 25  # fits of the linear baseline: inner folds of outer folds

Indices = NDArray[np.int64]  # (n,) of rows
Folds = NDArray[np.int64]  # (N,)


def main() -> None:
    params = read_params()
    info = read_info()
    classes = info.classes
    negative_label = find_negative_label(params.evaluation.negative_class, classes)
    rows = load_all_rows(info)
    table = read_neighbours(paths.NEIGHBOURS, len(rows.labels))
    folds_of_repeats = assign_folds_of_repeats(rows, info.image_shape, params.cross_validation)

    score_given_split(predict_given_split(rows, table, len(classes)), classes, negative_label)
    new_subjects = predict_nothing(rows, len(classes))
    if folds_of_repeats:
        new_subjects = predict_new_subjects(rows, table, folds_of_repeats, len(classes))
    options = Options(negative_label, params.evaluation.threshold)
    score_new_subjects(new_subjects, classes, options)


def predict_given_split(
    rows: AllRows, table: NeighbourTable, n_classes: int
) -> dict[str, Predictions]:
    """Return the predictions of the test rows from the training rows, by baseline."""
    groups = rows.test_mask.astype(np.int64)
    test_rows = np.flatnonzero(rows.test_mask)
    majority = predict_majority(rows.labels, groups, n_classes)[test_rows]
    test_mask = rows.test_mask[table.compared]
    nearest = predict_nearest(rows, table, GIVEN_SPLIT, n_classes)[test_mask]
    return {
        "majority": build_predictions(rows, test_rows, majority),
        "nearest_neighbour": build_predictions(rows, table.compared[test_mask], nearest),
    }


def predict_new_subjects(
    rows: AllRows, table: NeighbourTable, folds_of_repeats: Sequence[Folds], n_classes: int
) -> dict[str, Predictions]:
    """Return the predictions of each fold from the others, in all repeats, by baseline."""
    all_rows = np.arange(len(rows.labels))
    predictions: dict[str, list[Predictions]] = {name: [] for name in BASELINES}
    for repeat, folds in enumerate(folds_of_repeats):
        majority = predict_majority(rows.labels, folds, n_classes)
        nearest = predict_nearest(rows, table, name_subject_folds(repeat), n_classes)
        predictions["majority"].append(build_predictions(rows, all_rows, majority, folds))
        predictions["nearest_neighbour"].append(
            build_predictions(rows, table.compared, nearest, folds)
        )
    predictions["linear"] = predict_linear_baseline(rows, folds_of_repeats, n_classes)
    return {name: join_repeats(repeats) for name, repeats in predictions.items()}


def predict_nothing(rows: AllRows, n_classes: int) -> dict[str, Predictions]:
    """Return predictions of no row, by baseline, where no folds are possible."""
    no_rows = np.arange(0)
    folds = np.zeros(len(rows.labels), np.int64)
    nothing = build_predictions(rows, no_rows, np.empty((0, n_classes)), folds)
    return dict.fromkeys(BASELINES, nothing)


def predict_nearest(
    rows: AllRows, table: NeighbourTable, grouping: str, n_classes: int
) -> NDArray[np.float64]:
    """Return probability 1 for the class of each compared row's neighbour: (n, K)."""
    probabilities: NDArray[np.float64] = np.eye(n_classes)[
        rows.labels[table.by_grouping[grouping].nearest]
    ]
    return probabilities


def predict_linear_baseline(
    rows: AllRows, folds_of_repeats: Sequence[Folds], n_classes: int
) -> list[Predictions]:
    """Return each repeat's predictions of subjects and classes, in place of rows.

    Without ids they are of no row.
    """
    if rows.subjects is None:
        print("note: no linear baseline, which works on the mean image of each subject")
        no_rows = np.arange(0)
        return [
            build_predictions(rows, no_rows, np.empty((0, n_classes)), folds)
            for folds in folds_of_repeats
        ]

    # A unit is a subject's rows of one class; its first row stands for it.
    subject_and_class = np.stack([rows.subjects, rows.labels])
    _, first_rows, unit_of_row = np.unique(
        subject_and_class, axis=1, return_index=True, return_inverse=True
    )
    n_features = N_PENALTY_FITS * rows.parts[0].shape[1]
    units = sample_rows(n_features, rows.test_mask[first_rows])
    if len(units) < len(first_rows):
        print(f"note: the linear baseline is of a seeded sample of {len(units):,} subjects")

    images = compute_mean_images(rows.parts, unit_of_row, units)
    unit_rows = first_rows[units]
    labels = rows.labels[unit_rows]
    predictions = []
    for folds in folds_of_repeats:
        probabilities = predict_linear(images, labels, folds[unit_rows], n_classes)
        predictions.append(build_predictions(rows, unit_rows, probabilities, folds))
    return predictions


def build_predictions(
    rows: AllRows, indices: Indices, probabilities: NDArray[Any], folds: Folds | None = None
) -> Predictions:
    """Return the predictions of the rows at `indices` (n,), with probabilities (n, K)."""
    subjects = None if rows.subjects is None else rows.subjects[indices]
    row_folds = None if folds is None else folds[indices]
    return Predictions(
        indices, subjects, rows.labels[indices], probabilities.astype(np.float32), row_folds
    )


def score_given_split(
    predictions: dict[str, Predictions], classes: Sequence[str], negative_label: int | None
) -> None:
    for name, baseline in predictions.items():
        write_metrics(paths.metrics(name), compute_metrics(baseline, classes, negative_label))


def score_new_subjects(
    predictions: dict[str, Predictions], classes: Sequence[str], options: Options
) -> None:
    """Write predictions and metrics; empty ones of a baseline that these data do not allow."""
    for name, baseline in predictions.items():
        write_predictions(paths.folds(name), baseline, classes)
        metrics = None
        if len(baseline.rows):
            has_calibration = name not in VOTING_BASELINES
            baseline_options = options._replace(has_calibration=has_calibration)
            metrics = compute_new_subject_metrics(baseline, classes, baseline_options)
            print(f"{name}: accuracy {metrics.accuracy:.4f} by {metrics.by}")
        write_metrics(paths.new_subject_metrics(name), metrics)


if __name__ == "__main__":
    run_stage(main)
