"""Write the report: what the data are, what the models learned, and how far to trust it."""

from collections import Counter
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from src import paths
from src.cli import run
from src.evaluation.comparison import Pair
from src.evaluation.metrics import Metrics, Prediction, read_baseline
from src.params import BASELINES, read_params
from src.reporting.page import render
from src.storage.dataset import SPLITS, read_info
from src.storage.files import read_csv, read_json, write_bytes

MEASURES = [key for key in Metrics.model_fields if key != "unscored_classes"]
PICTURES = (
    *(paths.SAMPLE_FIGURE, paths.LEAKAGE_FIGURE, paths.ACCURACY_FIGURE),
    *(paths.HISTORY_FIGURE, paths.LEARNING_RATE_FIGURE),
)


class Leakage(BaseModel):
    """What plots/leakage.json holds; the shares are left out where they are unknown."""

    sentence: str
    shared_subjects: float | None = None
    same_subject_neighbour: float | None = None
    closest_twentieth: float | None = None


def main() -> None:
    params, info = read_params(), read_info()
    metrics = {name: read_json(paths.metrics(name), Metrics) for name in params.models}
    best = max(metrics, key=lambda name: metrics[name].accuracy)
    for name in BASELINES:
        if baseline := read_baseline(paths.metrics(name)):
            metrics[name] = baseline
    pairs = read_csv(paths.COMPARISON, Pair, least=0)
    by_subject = any(pair.by_subject is not None for pair in pairs)
    page = render(
        "report.html.jinja",
        params=params,
        best=best,
        metrics=metrics,
        leakage=read_json(paths.LEAKAGE, Leakage),
        info=info,
        class_counts=list(
            zip(info.classes, *(info.counts[split] for split in SPLITS), strict=True)
        ),
        measures=MEASURES,
        scores=[(name, *map(vars(found).get, MEASURES)) for name, found in metrics.items()],
        by_subject=by_subject,
        pairs=[[cell for cell in pair if cell is not None] for pair in pairs],
        confusion={name: confusion_rows(name, info.classes) for name in params.models},
        pictures={path.stem: path.read_bytes() for path in PICTURES},
        params_text=paths.PARAMS.read_text(encoding="utf-8"),
        versions=[(name, version(name)) for name in ("torch", "scikit-learn", "dvc")],
    )
    write_bytes(paths.REPORT, page)
    print(f"wrote {paths.REPORT}")


def confusion_rows(model: str, classes: list[str]) -> list[tuple[Any, ...]]:
    """Return for each actual class: its name, test rows by predicted class, and its recall."""
    rows = read_csv(paths.confusion(model), Prediction)
    counts = Counter((row.actual, row.predicted) for row in rows)
    table = []
    for actual in classes:
        found = [counts[actual, predicted] for predicted in classes]
        cells = [{"count": n, "share": n / max(1, sum(found))} for n in found]
        table.append((actual, *cells, counts[actual, actual] / sum(found) if any(found) else None))
    return table


if __name__ == "__main__":
    run(main)
