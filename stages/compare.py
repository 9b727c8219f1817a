"""Set the models of params.yaml side by side: pictures, tests of each pair, one history of all."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.arrays import read_numbers
from src.cli import InputError, run
from src.files import read_csv, write_csv
from src.intervals import interval_name
from src.metrics import read_baseline, read_metrics
from src.pairs import Pair, compare_pairs, verdict
from src.params import BASELINES, Params, read_params
from src.png import save_png
from src.result_figures import accuracy_figure, history_figure, learning_rate_figure

METRICS = Path("metrics")
PLOTS = Path("plots")
SUBJECTS = Path("data/flat/subjects_test.npy")
COLUMNS = {"epoch": int, "train_loss": float, "train_accuracy": float}
CONFUSION = {"actual": str, "predicted": str}


def main() -> None:
    params = read_params()
    metrics = {name: read_metrics(METRICS / f"{name}.json") for name in params.models}
    baselines = {name: read_baseline(METRICS / f"{name}.json") for name in BASELINES}
    histories = {name: read_csv(PLOTS / f"history/{name}.csv", COLUMNS) for name in params.models}
    correct = read_correct(params.models)
    n_rows = len(next(iter(correct.values())))
    subjects = read_numbers(SUBJECTS, n_rows) if SUBJECTS.exists() else None
    interval = interval_name(subjects)
    pairs = compare_pairs(correct, subjects)

    write_csv(
        PLOTS / "history.csv",
        ("model", *next(iter(histories.values()))[0]),
        [(name, *row.values()) for name, rows in histories.items() for row in rows],
    )
    write_csv(
        PLOTS / "pairs.csv",
        (*Pair._fields, "verdict"),
        [(*pair, verdict(pair)) for pair in pairs],
    )
    save_png(PLOTS / "history.png", history_figure(histories))
    save_png(PLOTS / "accuracy.png", accuracy_figure(metrics, baselines, n_rows, interval))
    figure = learning_rate_figure(
        groups_by_lr(params),
        {name: model.lr for name, model in params.models.items()},
        metrics,
        {name: float(rows[-1]["train_loss"]) for name, rows in histories.items()},
        interval,
    )
    save_png(PLOTS / "learning_rate.png", figure)
    best = sorted(metrics, key=lambda name: -metrics[name]["accuracy"])[:2]
    print(*(verdict(pair) for pair in pairs if {pair.a, pair.b} == set(best)), sep="\n")


def read_correct(names: Iterable[str]) -> dict[str, NDArray[np.bool_]]:
    """Of each model, which test rows it gets right (N,); InputError if they are not the same."""
    tables = {name: read_csv(PLOTS / f"confusion/{name}.csv", CONFUSION) for name in names}
    (first, of_first), *others = tables.items()
    for name, rows in others:
        if [row["actual"] for row in rows] != [row["actual"] for row in of_first]:
            raise InputError(
                f"{PLOTS}/confusion/{name}.csv: other test rows than in {first}.csv, expected the "
                "same in the same order; delete both and run 'dvc repro'"
            )
    return {
        name: np.array([row["actual"] == row["predicted"] for row in rows])
        for name, rows in tables.items()
    }


def groups_by_lr(params: Params) -> list[list[str]]:
    """Names of models that differ in lr and in nothing else that decides a result."""
    groups = defaultdict(list)
    for name, model in params.models.items():
        groups[model.arch, model.batch_size, params.training(name)].append(name)
    return [names for names in groups.values() if len({params.models[n].lr for n in names}) > 1]


if __name__ == "__main__":
    run(main)
