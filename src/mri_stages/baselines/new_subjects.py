"""All baselines on new subjects: each fold of the cross-validation is predicted from the others."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.baselines.brightness import GreyLevels, predict_brightness
from mri_stages.baselines.covariate_table import read_covariates
from mri_stages.baselines.covariates import predict_covariates
from mri_stages.baselines.kernel import MAX_UNITS, compute_squared_distances, predict_kernel
from mri_stages.baselines.linear import compute_mean_images, predict_linear
from mri_stages.baselines.majority import predict_majority
from mri_stages.baselines.nearest_neighbours import sample_rows
from mri_stages.baselines.units import Units, build_units, sample_units
from mri_stages.config.schema import BASELINES
from mri_stages.preprocessing.nested_folds import OUTER
from mri_stages.storage.dataset import AllRows
from mri_stages.storage.inner_predictions import InnerPredictions, OuterFold
from mri_stages.storage.neighbours import NeighbourTable, name_inner_folds, name_subject_folds
from mri_stages.storage.predictions import Predictions, join_repeats
from mri_stages.storage.records import Unit

N_PENALTY_FITS = 25  # fits of the linear baseline: inner folds of outer folds

Indices = NDArray[np.int64]  # (n,) of rows
Folds = NDArray[np.int64]  # (N,) of rows, or (n,) of units
# From the places (m,) of units among all n, and their folds (m,), to probabilities (m, K).
Predict = Callable[[Indices, Folds], NDArray[Any]]


class NewPredictions(NamedTuple):
    """What a baseline predicts of new subjects."""

    outer: Predictions
    inner: InnerPredictions  # none without inner folds


class Task(NamedTuple):
    """What all baselines predict."""

    rows: AllRows
    units: Units
    folds_of_repeats: Sequence[Folds]
    n_classes: int
    negative_label: int | None  # see `compute_auc`
    inner_folds_of_repeats: Sequence[Sequence[Folds]] = ()  # of each outer fold: (N,), or none

    @property
    def unit_name(self) -> Unit:
        return "row" if self.rows.subjects is None else "subject"

    @property
    def unit_labels(self) -> NDArray[np.int64]:
        return self.rows.labels[self.units.first_rows]

    @property
    def unit_subjects(self) -> NDArray[np.int64] | None:
        if self.rows.subjects is None:
            return None
        return self.rows.subjects[self.units.first_rows]


def predict_new_subjects(
    task: Task, table: NeighbourTable, covariate_columns: Sequence[str]
) -> dict[str, NewPredictions]:
    """Return the predictions of each fold from the others, in all repeats, by baseline.

    Where no folds are possible, and of a baseline that these data do not allow, they are of no row.
    """
    covariates = predict_by_covariates(task, covariate_columns)  # it may refuse: it is the first
    if not task.folds_of_repeats:
        return dict.fromkeys(BASELINES, predict_nothing(task))
    return {
        "majority": predict_largest_class(task),
        "nearest_neighbour": predict_nearest_neighbour(task, table),
        "brightness": predict_by_brightness(task),
        "linear": predict_by_linear_model(task),
        "kernel": predict_by_kernel(task),
        "covariates": covariates,
    }


def predict_nothing(task: Task) -> NewPredictions:
    """Return predictions of no row."""
    folds = np.zeros(len(task.rows.labels), np.int64)
    no_probabilities = np.empty((0, task.n_classes))
    return NewPredictions(build_predictions(task.rows, np.arange(0), no_probabilities, folds), {})


def predict_repeats(task: Task, indices: Indices, predict: Predict) -> NewPredictions:
    """Return the predictions of the rows at `indices` (n,) in all repeats, and by inner folds."""
    repeats = []
    for folds in task.folds_of_repeats:
        probabilities = predict(np.arange(len(indices)), folds[indices])
        repeats.append(build_predictions(task.rows, indices, probabilities, folds))
    return NewPredictions(join_repeats(repeats), predict_inner(task, indices, predict))


def predict_inner(task: Task, indices: Indices, predict: Predict) -> InnerPredictions:
    """Return the predictions of those rows at `indices` (n,) that are outside each outer fold.

    Nothing of the rows of the outer fold reaches `predict`.
    """
    inner = {}
    for repeat, inner_folds_of_folds in enumerate(task.inner_folds_of_repeats):
        for fold, inner_folds in enumerate(inner_folds_of_folds):
            places = np.flatnonzero(inner_folds[indices] != OUTER)
            train_indices = indices[places]
            probabilities = predict(places, inner_folds[train_indices])
            inner[OuterFold(repeat, fold)] = build_predictions(
                task.rows, train_indices, probabilities, inner_folds
            )
    return inner


def predict_largest_class(task: Task) -> NewPredictions:
    labels = task.rows.labels
    return predict_repeats(
        task,
        np.arange(len(labels)),
        lambda places, folds: predict_majority(labels[places], folds, task.n_classes),
    )


def predict_nearest_neighbour(task: Task, table: NeighbourTable) -> NewPredictions:
    """Return the predictions of the compared rows, and by the inner folds that the table has."""
    repeats = []
    for repeat, folds in enumerate(task.folds_of_repeats):
        grouping = name_subject_folds(repeat)
        probabilities = copy_neighbours(task.rows, table, grouping, task.n_classes)
        repeats.append(build_predictions(task.rows, table.compared, probabilities, folds))

    inner = {}
    for repeat, inner_folds_of_folds in enumerate(task.inner_folds_of_repeats):
        for fold, inner_folds in enumerate(inner_folds_of_folds):
            grouping = name_inner_folds(repeat, fold)
            if grouping in table.by_grouping:
                probabilities = copy_neighbours(task.rows, table, grouping, task.n_classes)
                train_mask = inner_folds[table.compared] != OUTER
                inner[OuterFold(repeat, fold)] = build_predictions(
                    task.rows, table.compared[train_mask], probabilities[train_mask], inner_folds
                )
    return NewPredictions(join_repeats(repeats), inner)


def copy_neighbours(
    rows: AllRows, table: NeighbourTable, grouping: str, n_classes: int
) -> NDArray[np.float64]:
    """Return probability 1 for the class of each compared row's neighbour: (n, K)."""
    probabilities: NDArray[np.float64] = np.eye(n_classes)[
        rows.labels[table.by_grouping[grouping].nearest]
    ]
    return probabilities


def predict_by_brightness(task: Task) -> NewPredictions:
    levels = GreyLevels(task.rows.parts, task.units)
    labels = task.unit_labels
    return predict_repeats(
        task,
        task.units.first_rows,
        lambda places, folds: predict_brightness(
            levels.select(places), labels[places], folds, task.n_classes
        ),
    )


def predict_by_linear_model(task: Task) -> NewPredictions:
    """Return the predictions for each subject and class, in place of rows; none without ids."""
    rows = task.rows
    if rows.subjects is None:
        print("note: no linear baseline, which works on the mean image of each subject")
        return predict_nothing(task)

    first_rows = task.units.first_rows
    n_features = N_PENALTY_FITS * rows.parts[0].shape[1]
    units = sample_rows(n_features, rows.test_mask[first_rows])
    if len(units) < len(first_rows):
        print(f"note: the linear baseline is of a seeded sample of {len(units):,} subjects")

    images = compute_mean_images(rows.parts, task.units.unit_of_row, units)
    labels = task.unit_labels[units]
    return predict_repeats(
        task,
        first_rows[units],
        lambda places, folds: predict_linear(images[places], labels[places], folds, task.n_classes),
    )


def predict_by_kernel(task: Task) -> NewPredictions:
    """Return the predictions for each unit, or for a seeded sample of them."""
    units = sample_units(task.unit_labels, MAX_UNITS)
    n_units = len(task.units.first_rows)
    if len(units) < n_units:
        print(
            f"note: the kernel baseline is of a seeded sample of {len(units):,} of the "
            f"{n_units:,} {task.unit_name}s"
        )

    images = compute_mean_images(task.rows.parts, task.units.unit_of_row, units)
    distances = compute_squared_distances(images)
    labels = task.unit_labels[units]
    return predict_repeats(
        task,
        task.units.first_rows[units],
        lambda places, folds: predict_kernel(
            distances[np.ix_(places, places)],
            labels[places],
            folds,
            task.n_classes,
            task.negative_label,
        ),
    )


def predict_by_covariates(task: Task, columns: Sequence[str]) -> NewPredictions:
    """Return the predictions for each subject and class; none where no column is named.

    InputError if a column cannot be used. Print what the columns were taken for.
    """
    covariates = read_covariates(columns, task.unit_subjects)
    if not covariates or not task.folds_of_repeats:
        return predict_nothing(task)
    descriptions = [covariate.describe() for covariate in covariates]
    print(f"note: the covariates are {', '.join(descriptions)}")
    labels = task.unit_labels
    return predict_repeats(
        task,
        task.units.first_rows,
        lambda places, folds: predict_covariates(
            [covariate.select(places) for covariate in covariates],
            labels[places],
            folds,
            task.n_classes,
        ),
    )


def build_task(
    rows: AllRows,
    folds_of_repeats: Sequence[Folds],
    n_classes: int,
    negative_label: int | None,
    inner_folds_of_repeats: Sequence[Sequence[Folds]] = (),
) -> Task:
    units = build_units(rows)
    return Task(rows, units, folds_of_repeats, n_classes, negative_label, inner_folds_of_repeats)


def build_predictions(
    rows: AllRows, indices: Indices, probabilities: NDArray[Any], folds: Folds | None = None
) -> Predictions:
    """Return the predictions of the rows at `indices` (n,), with probabilities (n, K)."""
    subjects = None if rows.subjects is None else rows.subjects[indices]
    row_folds = None if folds is None else folds[indices]
    return Predictions(
        indices, subjects, rows.labels[indices], probabilities.astype(np.float32), row_folds
    )
