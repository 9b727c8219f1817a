"""Set the models of params.yaml side by side, on the given split and on new subjects."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from src import paths
from src.cli import run
from src.evaluation.comparison import Pair, compare_pairs
from src.evaluation.confidence import interval_name
from src.evaluation.metrics import Metrics, balanced_accuracy_interval, read_metrics
from src.params import BASELINES, read_params
from src.plotting.results import (
    Interval,
    Panel,
    history_figure,
    interval_figure,
    learning_rate_figure,
    roc_figure,
)
from src.plotting.style import save_png
from src.storage.dataset import Epoch, read_info
from src.storage.files import read_csv, read_json, write_csv
from src.storage.predictions import Predictions, RocPoint, by_subject, read_predictions

GIVEN_BASELINES = ("majority", "nearest_neighbour")


def main() -> None:
    params, info = read_params(), read_info()
    title = params.data.title
    histories = {name: read_csv(paths.history(name), Epoch) for name in params.models}
    epochs = [(name, *e) for name, history in histories.items() for e in history]
    write_csv(paths.HISTORIES, ("model", *Epoch._fields), epochs)

    names = (*params.models, *GIVEN_BASELINES)
    metrics = {name: read_json(paths.metrics(name), Metrics) for name in names}
    diverged = [name for name, found in metrics.items() if found.diverged]
    save_png(paths.HISTORY_FIGURE, history_figure(histories, diverged, title))
    tests = {
        name: read_predictions(paths.predictions(name), info.classes) for name in params.models
    }
    pairs = write_pairs(paths.PAIRS, tests, "row")
    test = next(iter(tests.values()))
    interval = interval_name(test.subjects)
    accuracies = {n: Interval(m.accuracy, m.ci_low, m.ci_high) for n, m in metrics.items()}
    figure = interval_figure(
        [Panel("accuracy", accuracies, metrics["majority"].accuracy)],
        names,
        diverged,
        BASELINES,
        f"{title}: accuracy on the given split",
        f"{len(test.labels)} test rows, with 95 % confidence intervals ({interval})",
    )
    save_png(paths.ACCURACY_FIGURE, figure)
    curves = {name: read_csv(paths.roc(name), RocPoint, least=0) for name in params.models}
    save_png(paths.ROC_FIGURE, roc_figure(curves, diverged, f"{title}: ROC on the given split"))
    by_lr = learning_rate_figure(params.groups_by_lr(), metrics, histories, interval, title)
    save_png(paths.LEARNING_RATE_FIGURE, by_lr)
    best = sorted(params.models, key=lambda name: -metrics[name].accuracy)[:2]
    for pair in pairs:
        if {pair.a, pair.b} == set(best):
            print(pair.verdict)

    new_subjects = {
        name: found
        for name in (*params.cross_validation.models, *BASELINES)
        if (found := read_metrics(paths.new_subject_metrics(name)))
    }
    folds = {
        name: by_subject(read_predictions(paths.folds(name), info.classes)) for name in new_subjects
    }
    by = new_subjects["majority"].by or "row"
    rivals = {name: found for name, found in folds.items() if name != "majority"}
    write_pairs(paths.NEW_SUBJECT_PAIRS, rivals, by)
    aucs = {
        name: Interval(found.auc, found.auc_low, found.auc_high)
        for name, found in new_subjects.items()
        if found.auc is not None and found.auc_low is not None and found.auc_high is not None
    }
    balanced = {
        name: Interval(new_subjects[name].balanced_accuracy, *balanced_accuracy_interval(found))
        for name, found in folds.items()
    }
    figure = interval_figure(
        [
            Panel("AUC", aucs, 0.5),
            Panel("balanced accuracy", balanced, new_subjects["majority"].balanced_accuracy),
        ],
        list(new_subjects),
        [name for name, found in new_subjects.items() if found.diverged],
        BASELINES,
        f"{title}: on new subjects" if by == "subject" else f"{title}: on new rows",
        f"cross-validation on {len(folds['majority'].labels)} {by}s, with 95 % bootstrap intervals",
    )
    save_png(paths.NEW_SUBJECTS_FIGURE, figure)


def write_pairs(path: Path, found: Mapping[str, Predictions], unit: str) -> list[Pair]:
    """Write and return the tests of each pair of models on the same rows."""
    first = next(iter(found.values()))
    same = {}
    for name, rows in found.items():
        if np.array_equal(rows.rows, first.rows) and np.array_equal(rows.labels, first.labels):
            same[name] = rows.correct
        else:
            print(f"note: {name} is not compared in {path}: it scores only a sample of the {unit}s")
    pairs = compare_pairs(same, first.subjects, unit)
    write_csv(path, Pair._fields, pairs)
    return pairs


if __name__ == "__main__":
    run(main)
