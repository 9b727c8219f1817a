"""Set the models of params.yaml side by side: pictures, tests of each pair, one history of all."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from src import paths
from src.cli import InputError, run
from src.evaluation.comparison import Pair, compare_pairs
from src.evaluation.confidence import interval_name
from src.evaluation.metrics import Metrics, Prediction, read_baseline
from src.params import BASELINES, Params, read_params
from src.plotting.results import accuracy_figure, history_figure, learning_rate_figure
from src.plotting.style import save_png
from src.storage.dataset import Epoch, read_subjects
from src.storage.files import read_csv, read_json, write_csv


def main() -> None:
    params = read_params()
    metrics = {name: read_json(paths.metrics(name), Metrics) for name in params.models}
    baselines = {
        name: baseline for name in BASELINES if (baseline := read_baseline(paths.metrics(name)))
    }
    histories = {name: read_csv(paths.history(name), Epoch) for name in params.models}
    correct = read_correct(params.models)
    n_rows = len(next(iter(correct.values())))
    subjects = read_subjects("test", n_rows)
    interval = interval_name(subjects)
    pairs = compare_pairs(correct, subjects)

    epochs = [(name, *e) for name, history in histories.items() for e in history]
    write_csv(paths.HISTORIES, ("model", *Epoch._fields), epochs)
    write_csv(paths.COMPARISON, Pair._fields, pairs)
    by_lr = learning_rate_figure(groups_by_lr(params), metrics, histories, interval)
    save_png(paths.LEARNING_RATE_FIGURE, by_lr)
    save_png(paths.ACCURACY_FIGURE, accuracy_figure(metrics, baselines, n_rows, interval))
    save_png(paths.HISTORY_FIGURE, history_figure(histories))
    best = sorted(metrics, key=lambda name: -metrics[name].accuracy)[:2]
    print(*(pair.verdict for pair in pairs if {pair.a, pair.b} == set(best)), sep="\n")


def read_correct(models: Iterable[str]) -> dict[str, NDArray[np.bool_]]:
    """Return the test rows (N,) that each model gets right; InputError if rows differ."""
    tables = {name: read_csv(paths.confusion(name), Prediction) for name in models}
    (first, of_first), *others = tables.items()
    for name, rows in others:
        if [row.actual for row in rows] != [row.actual for row in of_first]:
            raise InputError(
                f"{paths.confusion(name)}: other test rows than in {paths.confusion(first)}, "
                "expected the same in the same order; delete both and run 'dvc repro'"
            )
    return {
        name: np.array([row.actual == row.predicted for row in rows])
        for name, rows in tables.items()
    }


def groups_by_lr(params: Params) -> list[dict[str, float]]:
    """Return name and lr of models that differ in lr and in nothing else that decides a result."""
    groups: defaultdict[object, dict[str, float]] = defaultdict(dict)
    for name, model in params.models.items():
        groups[model.arch, model.batch_size, params.training(name)][name] = model.lr
    return [group for group in groups.values() if len({*group.values()}) > 1]


if __name__ == "__main__":
    run(main)
