"""Score baselines that train no network, and measure how much the given split leaks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.baselines.linear import linear_probabilities, mean_images
from mri_stages.baselines.nearest_neighbours import affordable, nearest_of_other_groups
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.evaluation.leakage import measure_leakage
from mri_stages.evaluation.metrics import (
    compute_metrics,
    compute_new_subject_metrics,
    find_negative_label,
)
from mri_stages.plotting.leakage import leakage_figure
from mri_stages.plotting.style import save_png
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.storage.arrays import select_rows
from mri_stages.storage.dataset import AllRows, load_all_rows, read_info
from mri_stages.storage.files import write_json
from mri_stages.storage.predictions import Predictions, write_predictions

PENALTY_FITS = 25  # of the linear baseline: inner folds of outer folds

Numbers = NDArray[np.int64]  # (N,)


def main() -> None:
    params, info = read_params(), read_info()
    classes, n_classes = info.classes, len(info.classes)
    negative = find_negative_label(params.evaluation.negative_class, classes)
    n_folds, seed = params.cross_validation.folds, params.cross_validation.seed
    rows = load_all_rows(info)
    ids, given_groups = rows.subjects, rows.in_test.astype(np.int64)
    folds = assign_folds(rows.labels, ids, n_folds, seed)
    random_folds = assign_folds(rows.labels, None, n_folds, seed)

    compared = affordable(rows.parts[0].shape[1], rows.in_test, ids)
    if len(compared) < len(folds):
        print(f"note: nearest neighbours are among a seeded sample of {len(compared):,} rows")
    groups = np.stack([given_groups, random_folds, folds, np.arange(len(folds))])[:, compared]
    nearest, closeness = nearest_of_other_groups(select_rows(rows.parts, compared), groups)
    leakage = measure_leakage(rows, compared, nearest, closeness)
    write_json(paths.LEAKAGE, leakage.model_dump(exclude_none=True))
    in_test = rows.in_test[compared]
    same = None if ids is None else (ids[compared[nearest[0]]] == ids[compared])[in_test]
    figure = leakage_figure(closeness[0, in_test], same, params.data.title)
    save_png(paths.LEAKAGE_FIGURE, figure)

    every, test = np.arange(len(folds)), np.flatnonzero(rows.in_test)
    given, _, of_folds, _ = np.eye(n_classes)[rows.labels[compared[nearest]]]
    split = {
        "majority": predictions(rows, test, majority(rows, given_groups, n_classes)[test]),
        "nearest_neighbour": predictions(rows, compared[in_test], given[in_test]),
    }
    for name, found in split.items():
        write_json(paths.metrics(name), compute_metrics(found, classes, negative).to_json())
    new_subjects = {
        "majority": predictions(rows, every, majority(rows, folds, n_classes), folds),
        "nearest_neighbour": predictions(rows, compared, of_folds, folds),
        "linear": linear_predictions(rows, folds, n_classes),
    }
    for name, found in new_subjects.items():
        # DVC has no optional out: where there is no linear baseline, its files are empty.
        write_predictions(paths.folds(name), found, classes)
        metrics = {}
        if len(found.rows):
            metrics = compute_new_subject_metrics(found, classes, negative).to_json()
            print(f"{name}: accuracy {metrics['accuracy']:.4f} by {metrics['by']}")
        write_json(paths.new_subject_metrics(name), metrics)
    print(leakage.sentence)


def predictions(
    rows: AllRows, numbers: Numbers, probabilities: NDArray[Any], folds: Numbers | None = None
) -> Predictions:
    """Return the predictions of the rows `numbers` (n,), with probabilities (n, K)."""
    ids = None if rows.subjects is None else rows.subjects[numbers]
    fold = None if folds is None else folds[numbers]
    return Predictions(numbers, ids, rows.labels[numbers], probabilities.astype(np.float32), fold)


def majority(rows: AllRows, groups: Numbers, n_classes: int) -> NDArray[np.float64]:
    """Return, for each row, 1 for the largest class among the rows of other groups: (N, K)."""
    found = np.zeros((len(groups), n_classes))
    for group in np.unique(groups):
        found[groups == group, np.bincount(rows.labels[groups != group]).argmax()] = 1
    return found


def linear_predictions(rows: AllRows, folds: Numbers, n_classes: int) -> Predictions:
    """Return the linear baseline's predictions, one row per subject and class; none without ids."""
    if rows.subjects is None:
        print("note: no linear baseline, which works on the mean image of each subject")
        return predictions(rows, np.arange(0), np.empty((0, n_classes)), folds)
    pairs = np.stack([rows.subjects, rows.labels])
    _, firsts, units = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
    kept = affordable(PENALTY_FITS * rows.parts[0].shape[1], rows.in_test[firsts])
    if len(kept) < len(firsts):
        print(f"note: the linear baseline is of a seeded sample of {len(kept):,} subjects")
    images, numbers = mean_images(rows.parts, units, kept), firsts[kept]
    found = linear_probabilities(images, rows.labels[numbers], folds[numbers], n_classes)
    return predictions(rows, numbers, found, folds)


if __name__ == "__main__":
    run_stage(main)
