"""Print the results in two short tables: new subjects, and the given split."""

import textwrap

from src import paths
from src.cli import run
from src.evaluation.leakage import Leakage
from src.evaluation.metrics import Metrics, read_metrics
from src.params import BASELINES, read_params
from src.storage.files import read_json

ROW = "{:24.24} {:>24} {:>9} {:>9} {:>24} {:>8}".format  # a longer name is cut


def main() -> None:
    params = read_params()
    names = (*params.cross_validation.models, *BASELINES)
    new = {name: read_metrics(paths.new_subject_metrics(name)) for name in names}
    names = (*params.models, "majority", "nearest_neighbour")
    given = {name: read_metrics(paths.metrics(name)) for name in names}
    by = next((found.by for found in new.values() if found), "row")
    print_table(f"New {by}s: {params.cross_validation.folds} folds of all rows", new)
    print_table("Given split: test rows", given)
    print(f"\n{textwrap.fill(read_json(paths.LEAKAGE, Leakage).sentence, 110)}")


def print_table(title: str, metrics: dict[str, Metrics | None]) -> None:
    print(f"\n{title}")
    print(ROW("", "accuracy, 95 % interval", "balanced", "macro F1", "AUC", "loss"))
    for name, found in metrics.items():
        if found is None:
            continue
        accuracy = interval(found.accuracy, found.ci_low, found.ci_high)
        auc = interval(found.auc, found.auc_low, found.auc_high)
        cells = (number(value) for value in (found.balanced_accuracy, found.macro_f1))
        loss = "diverged" if found.diverged else number(found.loss)
        print(ROW(name, accuracy, *cells, auc, loss))


def interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return number(value)
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    run(main)
