"""Write the report: what a new subject would see, what the models learned, and from what."""

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.reporting.page import render_page
from mri_stages.storage.dataset import read_info
from mri_stages.storage.files import read_csv, read_json, write_bytes
from mri_stages.storage.records import (
    Leakage,
    Metrics,
    Pair,
    Prediction,
    read_given_metrics,
    read_new_subject_metrics,
)

PICTURES = ("new_subjects", "accuracy", "roc", "leakage", "history", "learning_rate", "sample")


def main() -> None:
    params, info = read_params(), read_info()
    given, new = read_given_metrics(params), read_new_subject_metrics(params)
    page = render_page(
        "report.html.jinja",
        params=params,
        given=given,
        best=max(params.models, key=lambda name: given[name].accuracy),
        new=new,
        by=new["majority"].by,
        best_new=max(new, key=lambda name: new[name].auc or 0),
        tables={"given": table(given), "new": table(new)},
        leakage=read_json(paths.LEAKAGE, Leakage),
        info=info,
        class_counts=[*zip(info.classes, info.counts["train"], info.counts["test"], strict=True)],
        pairs={
            "given": read_csv(paths.PAIRS, Pair, 0),
            "new": read_csv(paths.NEW_SUBJECT_PAIRS, Pair, 0),
        },
        confusion={name: confusion_rows(name, info.classes) for name in params.models},
        pictures={name: (paths.PLOTS / f"{name}.png").read_bytes() for name in PICTURES},
        params_text=paths.PARAMS.read_text(encoding="utf-8"),
        versions=[(name, version(name)) for name in ("torch", "scikit-learn", "dvc")],
    )
    write_bytes(paths.REPORT, page)
    print(f"wrote {paths.REPORT}")


def table(metrics: Mapping[str, Metrics]) -> dict[str, Any]:
    """Return header and rows of a table of metrics, without the columns that are empty."""
    found = {name: m.model_dump(exclude={"unscored_classes", "by"}) for name, m in metrics.items()}
    keys = next(iter(found.values()))
    columns = [key for key in keys if any(m[key] is not None for m in found.values())]
    rows = [(name, *(m[key] for key in columns)) for name, m in found.items()]
    return {"header": ["", *columns], "rows": rows}


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
    run_stage(main)
