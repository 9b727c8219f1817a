"""Set the models of params.yaml side by side: pictures, and one history of them all."""

from collections import Counter, defaultdict
from pathlib import Path

from src.arrays import read_numbers
from src.cli import run
from src.files import read_csv, write_csv
from src.intervals import interval_name
from src.metrics import read_metrics
from src.params import Params, read_params
from src.png import save_png
from src.result_figures import accuracy_figure, learning_rate_figure

METRICS = Path("metrics")
PLOTS = Path("plots")
SUBJECTS = Path("data/flat/subjects_test.npy")


def main() -> None:
    params = read_params()
    metrics = {name: read_metrics(METRICS / f"{name}.json") for name in params.models}
    histories = {
        name: read_csv(PLOTS / f"history/{name}.csv", {"train_loss": float}) for name in metrics
    }
    confusion = PLOTS / f"confusion/{next(iter(metrics))}.csv"
    actual = [row["actual"] for row in read_csv(confusion, {"actual": str})]
    majority = Counter(actual).most_common(1)[0][1] / len(actual)
    interval = interval_name(read_numbers(SUBJECTS, len(actual)) if SUBJECTS.exists() else None)

    write_csv(
        PLOTS / "history.csv",
        ("model", *next(iter(histories.values()))[0]),
        [(name, *row.values()) for name, rows in histories.items() for row in rows],
    )
    save_png(PLOTS / "accuracy.png", accuracy_figure(metrics, majority, len(actual), interval))
    figure = learning_rate_figure(
        groups_by_lr(params),
        {name: model.lr for name, model in params.models.items()},
        metrics,
        {name: float(rows[-1]["train_loss"]) for name, rows in histories.items()},
        interval,
    )
    save_png(PLOTS / "learning_rate.png", figure)


def groups_by_lr(params: Params) -> list[list[str]]:
    """Names of models that differ in lr and in nothing else that decides a result."""
    groups = defaultdict(list)
    for name, model in params.models.items():
        groups[model.arch, model.batch_size, params.training(name)].append(name)
    return [names for names in groups.values() if len({params.models[n].lr for n in names}) > 1]


if __name__ == "__main__":
    run(main)
