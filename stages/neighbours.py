"""Find the nearest neighbour of each row: data/neighbours.npz. This takes minutes of distances."""

import numpy as np

from mri_stages import paths
from mri_stages.baselines.nearest_neighbours import find_nearest_neighbours, sample_rows
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.storage.arrays import select_rows
from mri_stages.storage.dataset import load_all_rows, read_info
from mri_stages.storage.neighbours import (
    GIVEN_SPLIT,
    RANDOM_FOLDS,
    SINGLE_ROWS,
    SUBJECT_FOLDS,
    Neighbours,
    NeighbourTable,
    write_neighbours,
)


def main() -> None:
    options = read_params().cross_validation
    rows = load_all_rows(read_info())
    n_rows = len(rows.labels)
    groupings = {
        GIVEN_SPLIT: rows.test_mask.astype(np.int64),
        RANDOM_FOLDS: assign_folds(rows.labels, None, options.folds, options.seed),
        SUBJECT_FOLDS: assign_folds(rows.labels, rows.subjects, options.folds, options.seed),
        SINGLE_ROWS: np.arange(n_rows),
    }

    n_features = rows.parts[0].shape[1]
    compared = sample_rows(n_features, rows.test_mask, rows.subjects)
    if len(compared) < n_rows:
        print(f"note: nearest neighbours are among a seeded sample of {len(compared):,} rows")

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


if __name__ == "__main__":
    run_stage(main)
