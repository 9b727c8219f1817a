"""Train while a share of the test subjects also trains -> studies/runs/leakage/VALUE.csv.

`python -m stages.studies.leakage VALUE`: a share in per cent, or `permuted`, which is 100 with
permuted labels. src/mri_stages/studies/leakage_dose.py says how the rows are divided.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import LeakageStudy, Model
from mri_stages.console import OneLineParser, enter_part
from mri_stages.evaluation.metrics import compute_metrics
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.storage.dataset import AllRows, Info, load_all_rows, read_info
from mri_stages.storage.predictions import Predictions
from mri_stages.studies.leakage_dose import (
    DoseSplit,
    LeakageDose,
    list_doses,
    permute_labels_of_subjects,
    split_by_dose,
)
from mri_stages.studies.records import LeakageRun, write_records
from mri_stages.training.held_out import fit_and_predict

TEST_FOLDS = 5  # of all subjects; the first is the test


def main() -> None:
    params = read_params()
    study = params.studies.leakage
    dose = parse_dose(study)

    info = read_info()
    rows = load_all_rows(info, params.data.scaled)
    runs = []
    if rows.subjects is None:
        print("note: without subject ids there is nothing to measure")
    else:
        for number, seed in enumerate(study.seeds, start=1):
            changes = {"seed": seed, "ensemble": 1}
            model = params.models[study.model].model_copy(update=changes)
            with enter_part("seed", number, len(study.seeds)):
                run = train_with_dose(study.model, model, dose, info, rows)
            runs.append(run)
            print(f"seed {seed}: accuracy {run.accuracy:.1%}", flush=True)
    write_records(dose.path, LeakageRun, runs)


def parse_dose(study: LeakageStudy) -> LeakageDose:
    """Return the dose that the command line names; InputError if params.yaml lacks it."""
    doses = {dose.name: dose for dose in list_doses(study)}
    parser = OneLineParser(prog="python -m stages.studies.leakage")
    parser.add_argument("value", metavar="studies.leakage.shares", choices=doses)
    return doses[parser.parse_args().value]


def train_with_dose(
    model_name: str, model: Model, dose: LeakageDose, info: Info, rows: AllRows
) -> LeakageRun:
    """Train the model with one dose of leakage; return its scores on the test rows.

    `model.seed` also chooses the test subjects, their rows, and the permutation of labels.
    """
    subjects = rows.subjects
    assert subjects is not None
    rng = np.random.default_rng(model.seed)

    folds = assign_folds(rows.labels, subjects, TEST_FOLDS, model.seed, "the leakage study")
    test_subjects = np.unique(subjects[folds == 0])
    split = split_by_dose(subjects, test_subjects, dose.share, rng)
    labels = rows.labels
    if dose.is_permuted:
        labels = permute_labels_of_subjects(labels, subjects, rng)

    test_labels = labels[split.test_indices]
    largest_class = np.bincount(labels[split.train_indices]).argmax()
    probabilities = predict_test_rows(model, info, rows._replace(labels=labels), split)
    predictions = Predictions(
        split.test_indices, subjects[split.test_indices], test_labels, probabilities
    )
    metrics = compute_metrics(predictions, info.classes, None)
    return LeakageRun(
        model=model_name,
        seed=model.seed,
        share=dose.share,
        permuted=dose.is_permuted,
        rows=len(split.train_indices),
        test_rows=len(split.test_indices),
        accuracy=metrics.accuracy,
        ci_low=metrics.ci_low,
        ci_high=metrics.ci_high,
        balanced_accuracy=metrics.balanced_accuracy,
        majority=float((test_labels == largest_class).mean()),
    )


def predict_test_rows(
    model: Model, info: Info, rows: AllRows, split: DoseSplit
) -> NDArray[np.float32]:
    """Train on the training rows; return the class probabilities (m, K) of the test rows."""
    with TemporaryDirectory(dir=paths.FLAT.parent) as folder:
        return fit_and_predict(
            model,
            info,
            rows,
            split.train_indices,
            split.test_indices,
            Path(folder),
            quiet=True,
        ).probabilities


if __name__ == "__main__":
    run_stage(main)
