"""Set the models of params.yaml side by side, on the given split and on new subjects."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.evaluation.comparison import compare_pairs
from mri_stages.plotting import results
from mri_stages.plotting.style import save_png
from mri_stages.storage.dataset import read_info
from mri_stages.storage.files import read_csv, write_csv
from mri_stages.storage.history import Epoch
from mri_stages.storage.predictions import Predictions, average_by_subject, read_predictions
from mri_stages.storage.records import Pair, RocPoint, read_given_metrics, read_new_subject_metrics


def main() -> None:
    params, classes = read_params(), read_info().classes
    compare_on_the_given_split(params, classes)
    compare_on_new_subjects(params, classes)


def compare_on_the_given_split(params: Params, classes: list[str]) -> None:
    title, metrics = params.data.title, read_given_metrics(params)
    histories = {name: read_csv(paths.history(name), Epoch) for name in params.models}
    epochs = [(name, *epoch) for name, history in histories.items() for epoch in history]
    write_csv(paths.HISTORIES, ("model", *Epoch._fields), epochs)
    save_png(paths.HISTORY_FIGURE, results.history_figure(histories, metrics, title))

    tests = {name: read_predictions(paths.predictions(name), classes) for name in params.models}
    write_pairs(paths.PAIRS, tests, "row")
    test = next(iter(tests.values()))
    above = f"{title}: accuracy on the given split"
    below = f"{len(test.labels)} test rows, with 95 % confidence intervals"
    save_png(paths.ACCURACY_FIGURE, results.interval_figure(metrics, ["accuracy"], above, below))
    curves = {name: read_csv(paths.roc(name), RocPoint, least=0) for name in params.models}
    above = f"{title}: ROC on the given split"
    save_png(paths.ROC_FIGURE, results.roc_figure(curves, metrics, above))
    above = f"{title}: models that differ only in the learning rate\n"
    above += "line: 95 % confidence interval"
    figure = results.learning_rate_figure(params.groups_by_lr(), metrics, histories, above)
    save_png(paths.LEARNING_RATE_FIGURE, figure)


def compare_on_new_subjects(params: Params, classes: list[str]) -> None:
    metrics = read_new_subject_metrics(params)
    by = metrics["majority"].by or "row"
    folds = {
        name: average_by_subject(read_predictions(paths.folds(name), classes)) for name in metrics
    }
    rivals = {name: found for name, found in folds.items() if name != "majority"}
    write_pairs(paths.NEW_SUBJECT_PAIRS, rivals, by)
    above = f"{params.data.title}: on new {by}s, and on the given split (hollow, in brackets)"
    n_units = len(folds["majority"].labels)
    below = f"cross-validation on {n_units} {by}s, with 95 % confidence intervals"
    columns = ["accuracy", "auc"]
    figure = results.interval_figure(
        metrics, columns, above, below, given=read_given_metrics(params)
    )
    save_png(paths.NEW_SUBJECTS_FIGURE, figure)


def write_pairs(path: Path, found: Mapping[str, Predictions], unit: str) -> None:
    """Write the tests of each pair of models on the same rows."""
    first = next(iter(found.values()))
    same = {}
    for name, rows in found.items():
        if np.array_equal(rows.rows, first.rows) and np.array_equal(rows.labels, first.labels):
            same[name] = rows.correct
        else:
            print(f"note: {name} is not compared in {path}: it scores only a sample of the {unit}s")
    write_csv(path, Pair._fields, compare_pairs(same, first.subjects, unit))


if __name__ == "__main__":
    run_stage(main)
