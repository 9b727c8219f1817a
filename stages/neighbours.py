"""Find the nearest neighbour of each row: data/neighbours.npz. This takes minutes of distances."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.baselines.nearest_neighbours import (
    NO_GROUP,
    find_nearest_neighbours,
    sample_rows,
)
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import CrossValidation
from mri_stages.preprocessing.folds import assign_folds_by_seed
from mri_stages.preprocessing.nested_folds import OUTER, assign_inner_folds
from mri_stages.storage.arrays import Shape, select_rows
from mri_stages.storage.assignment import read_assignment
from mri_stages.storage.dataset import AllRows, load_all_rows, read_info
from mri_stages.storage.neighbours import (
    GIVEN_SPLIT,
    RANDOM_FOLDS,
    SINGLE_ROWS,
    Neighbours,
    NeighbourTable,
    name_inner_folds,
    name_subject_folds,
    write_neighbours,
)

Folds = NDArray[np.int64]  # (N,)


def main() -> None:
    options = read_params().cross_validation
    info = read_info()
    rows = load_all_rows(info)
    n_rows = len(rows.labels)
    folds_of_repeats = read_assignment(rows)
    groupings = {
        GIVEN_SPLIT: rows.test_mask.astype(np.int64),
        **list_fold_groupings(rows, info.image_shape, folds_of_repeats, options),
        SINGLE_ROWS: np.arange(n_rows),
    }

    stored = rows.parts[0]
    compared = sample_rows(stored.shape[1], rows.test_mask, rows.subjects, stored.dtype)
    if len(compared) < n_rows:
        print(f"note: nearest neighbours are among a seeded sample of {len(compared):,} rows")
    else:  # no baseline of a sample can be chosen by inner folds
        groupings |= list_inner_groupings(rows, info.image_shape, folds_of_repeats, options)

    # Neighbours are found among the compared rows, then numbered among all rows.
    neighbours = find_nearest_neighbours(
        select_rows(rows.parts, compared),
        {name: groups[compared] for name, groups in groupings.items()},
        reference=GIVEN_SPLIT,
    )
    by_grouping = {
        name: Neighbours(compared[part.nearest], part.closeness)
        for name, part in neighbours.items()
    }
    write_neighbours(paths.NEIGHBOURS, NeighbourTable(compared, by_grouping))


def list_fold_groupings(
    rows: AllRows, image_shape: Shape, folds_of_repeats: Sequence[Folds], options: CrossValidation
) -> dict[str, Folds]:
    """Return the folds (N,) by row, and those of the cross-validation, if possible."""
    random_folds = folds_of_repeats[:1]
    if rows.subjects is not None:
        rows_without_ids = rows._replace(subjects=None)
        random_folds = assign_folds_by_seed(
            rows_without_ids, image_shape, options.folds, [options.seed]
        )

    groupings = {}
    if random_folds:
        groupings[RANDOM_FOLDS] = random_folds[0]
    for repeat, folds in enumerate(folds_of_repeats):
        groupings[name_subject_folds(repeat)] = folds
    return groupings


def list_inner_groupings(
    rows: AllRows, image_shape: Shape, folds_of_repeats: Sequence[Folds], options: CrossValidation
) -> dict[str, Folds]:
    """Return the inner folds (N,) of each fold of the cross-validation; none without any."""
    groupings = {}
    inner_folds_of_repeats = assign_inner_folds(rows, image_shape, folds_of_repeats, options)
    for repeat, inner_folds_of_folds in enumerate(inner_folds_of_repeats):
        for fold, inner_folds in enumerate(inner_folds_of_folds):
            groups = np.where(inner_folds == OUTER, NO_GROUP, inner_folds)
            groupings[name_inner_folds(repeat, fold)] = groups
    return groupings


if __name__ == "__main__":
    run_stage(main)
