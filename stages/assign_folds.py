"""Assign all rows to the folds of the cross-validation: data/assignment.csv."""

from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.preprocessing.folds import assign_folds_of_repeats
from mri_stages.preprocessing.strata import describe_small_strata, read_strata
from mri_stages.storage.assignment import write_assignment
from mri_stages.storage.dataset import load_all_rows, read_info


def main() -> None:
    options = read_params().cross_validation
    info = read_info()
    rows = load_all_rows(info)
    strata = None
    if options.stratify:
        strata = read_strata(options.stratify, rows.labels, rows.subjects)
    folds_of_repeats = assign_folds_of_repeats(rows, info.image_shape, options, strata)
    if strata is not None and rows.subjects is not None:
        note = describe_small_strata(strata, rows.subjects, options.folds)
        if note and folds_of_repeats:
            print(f"note: {note}")
    write_assignment(folds_of_repeats, rows.subjects)


if __name__ == "__main__":
    run_stage(main)
