"""Train while a share of the test subjects also trains -> studies/runs/leakage/VALUE.csv.

`python -m stages.studies.leakage VALUE`: a share in per cent, or `permuted`, which is 100 with
permuted labels. See src/studies/dose.py.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from src import paths
from src.cli import InputError, OneLineParser, run
from src.data.splits import fold_of_rows
from src.evaluation.metrics import score
from src.params import read_params
from src.storage.dataset import load_all, read_info
from src.storage.files import write_csv
from src.storage.predictions import Predictions
from src.studies.dose import LeakageRun, divide, permuted_labels
from src.training.device import set_up_device
from stages.cross_validate import trained_probabilities

TEST_FOLDS = 5  # one of them is test


def main() -> None:
    params, info = read_params(), read_info()
    study = params.studies.leakage
    parser = OneLineParser(prog="python -m stages.studies.leakage")
    parser.add_argument("value", help="one of studies.leakage.shares in params.yaml, or permuted")
    value = parser.parse_args().value
    if value not in (*map(str, study.shares), "permuted"):
        raise InputError(
            f"params.yaml: studies.leakage.shares has no {value!r}, expected one of "
            f"{', '.join(map(str, study.shares))}, or permuted"
        )
    permuted = value == "permuted"
    share = 100 if permuted else int(value)
    rows = load_all(info)
    arch, recipe = params.models[study.model].arch, params.recipe(study.model)
    device = set_up_device(recipe.threads)
    found = []
    if rows.subjects is None:
        print("note: without subject ids there is nothing to measure")
    for seed in study.seeds if rows.subjects is not None else ():
        assert rows.subjects is not None
        rng = np.random.default_rng(seed)
        fold = fold_of_rows(rows.labels, rows.subjects, TEST_FOLDS, seed, "the leakage study")
        fitted, test = divide(rows.subjects, np.unique(rows.subjects[fold == 0]), share, rng)
        used = rows
        if permuted:
            used = rows._replace(labels=permuted_labels(rows.labels, rows.subjects, rng))
        of_seed = recipe.model_copy(update={"seed": seed})
        with TemporaryDirectory() as work:
            probabilities = trained_probabilities(
                arch, of_seed, info, used, fitted, test, Path(work), device, quiet=True
            )
        labels = used.labels[test]
        scored = Predictions(test, rows.subjects[test], labels, probabilities)
        metrics = score(scored, info.classes, None)
        majority = np.bincount(used.labels[fitted]).argmax()
        run_ = LeakageRun(
            model=study.model, seed=seed, share=share, permuted=permuted, rows=len(fitted),
            test_rows=len(test), majority=float((labels == majority).mean()),
            **metrics.model_dump(include={"accuracy", "ci_low", "ci_high", "balanced_accuracy"}),
        )  # fmt: skip
        found.append(list(run_.model_dump().values()))
        print(f"seed {seed}: accuracy {run_.accuracy:.1%}", flush=True)
    write_csv(paths.study_runs("leakage", value), list(LeakageRun.model_fields), found)


if __name__ == "__main__":
    run(main)
