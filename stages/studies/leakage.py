"""Train while a share of the test subjects also trains -> studies/runs/leakage/VALUE.csv.

`python -m stages.studies.leakage VALUE`: a share in per cent, or `permuted`, which is 100 with
permuted labels. See src/mri_stages/studies/leakage_dose.py.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.console import OneLineParser
from mri_stages.evaluation.metrics import compute_metrics
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.storage.dataset import load_all_rows, read_info
from mri_stages.storage.files import write_csv
from mri_stages.storage.predictions import Predictions
from mri_stages.studies.leakage_dose import LeakageRun, divide, permuted_labels
from mri_stages.training.held_out import fit_and_predict

TEST_FOLDS = 5  # one of them is test
SCORES = {"accuracy", "ci_low", "ci_high", "balanced_accuracy"}


def main() -> None:
    params, info = read_params(), read_info()
    study = params.studies.leakage
    parser = OneLineParser(prog="python -m stages.studies.leakage")
    shares = [*map(str, study.shares), "permuted"]
    parser.add_argument("value", metavar="studies.leakage.shares", choices=shares)
    value = parser.parse_args().value
    permuted = value == "permuted"
    share = 100 if permuted else int(value)
    rows, found, path = load_all_rows(info), [], paths.study_runs("leakage", value)
    subjects = rows.subjects
    if subjects is None:
        print("note: without subject ids there is nothing to measure")
        return write_csv(path, LeakageRun._fields, [])
    for seed in study.seeds:
        rng = np.random.default_rng(seed)
        fold = assign_folds(rows.labels, subjects, TEST_FOLDS, seed, "the leakage study")
        fitted, test = divide(subjects, np.unique(subjects[fold == 0]), share, rng)
        labels = permuted_labels(rows.labels, subjects, rng) if permuted else rows.labels
        model = params.models[study.model].model_copy(update={"seed": seed})
        data = info, rows._replace(labels=labels), fitted, test
        with TemporaryDirectory(dir=paths.FLAT.parent) as work:
            probabilities = fit_and_predict(model, *data, Path(work), quiet=True)
        scored = Predictions(test, subjects[test], labels[test], probabilities)
        majority = float((labels[test] == np.bincount(labels[fitted]).argmax()).mean())
        scores = compute_metrics(scored, info.classes, None).model_dump(include=SCORES)
        scores |= {"rows": len(fitted), "test_rows": len(test), "majority": majority}
        found.append(LeakageRun(study.model, seed, share, permuted, **scores))
        print(f"seed {seed}: accuracy {scores['accuracy']:.1%}", flush=True)
    write_csv(path, LeakageRun._fields, found)


if __name__ == "__main__":
    run_stage(main)
