"""Write the report: what a new subject would see, what the models learned, and from what."""

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from src import paths
from src.cli import run
from src.evaluation.comparison import Pair
from src.evaluation.leakage import Leakage
from src.evaluation.metrics import Metrics, read_metrics
from src.params import BASELINES, read_params
from src.reporting.page import render
from src.storage.dataset import SPLITS, read_info
from src.storage.files import read_csv, read_json, write_bytes
from src.storage.predictions import Prediction

NOT_IN_TABLES = ("unscored_classes", "by")
PICTURES = (
    *(paths.NEW_SUBJECTS_FIGURE, paths.ACCURACY_FIGURE, paths.ROC_FIGURE, paths.LEAKAGE_FIGURE),
    *(paths.HISTORY_FIGURE, paths.LEARNING_RATE_FIGURE, paths.SAMPLE_FIGURE),
)


def main() -> None:
    params, info = read_params(), read_info()
    models, baselines = tuple(params.models), ("majority", "nearest_neighbour")
    given = {name: read_json(paths.metrics(name), Metrics) for name in (*models, *baselines)}
    new = {
        name: found
        for name in (*params.cross_validation.models, *BASELINES)
        if (found := read_metrics(paths.new_subject_metrics(name)))
    }
    page = render(
        "report.html.jinja",
        params=params,
        given=given,
        best=max(models, key=lambda name: given[name].accuracy),
        new=new,
        by=new["majority"].by,
        best_new=max(new, key=lambda name: new[name].auc or 0),
        tables={"given": table(given), "new": table(new)},
        leakage=read_json(paths.LEAKAGE, Leakage),
        info=info,
        class_counts=list(
            zip(info.classes, *(info.counts[split] for split in SPLITS), strict=True)
        ),
        pairs={
            "given": read_pairs(paths.PAIRS),
            "new": read_pairs(paths.NEW_SUBJECT_PAIRS),
        },
        confusion={name: confusion_rows(name, info.classes) for name in models},
        pictures={path.stem: path.read_bytes() for path in PICTURES},
        params_text=paths.PARAMS.read_text(encoding="utf-8"),
        versions=[(name, version(name)) for name in ("torch", "scikit-learn", "dvc")],
    )
    write_bytes(paths.REPORT, page)
    print(f"wrote {paths.REPORT}")


def table(metrics: Mapping[str, Metrics]) -> dict[str, Any]:
    """Return header and rows of a table of metrics, without the columns that are empty."""
    columns = [
        key
        for key in Metrics.model_fields
        if key not in NOT_IN_TABLES and any(getattr(m, key) is not None for m in metrics.values())
    ]
    rows = [(name, *(getattr(m, key) for key in columns)) for name, m in metrics.items()]
    return {"header": ["", *columns], "rows": rows}


def read_pairs(path: Path) -> list[list[Any]]:
    """Return the rows of a table of pairs, without the column of p by subject if that is empty."""
    return [[cell for cell in pair if cell is not None] for pair in read_csv(path, Pair, least=0)]


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
