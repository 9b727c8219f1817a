"""The report: one page of what the data are, what the models learned, and how far to trust it."""

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from src.cli import run
from src.files import read_csv, read_json, write_bytes
from src.meta import read_meta
from src.metrics import read_baseline, read_metrics
from src.page import Listing, Picture, Section, Share, Table, page
from src.params import BASELINES, PATH, Params, read_params

META = Path("data/flat/meta.json")
METRICS = Path("metrics")
PLOTS = Path("plots")
OUT = Path("plots/report.html")
KEYS = ("accuracy", "low", "high", "balanced", "macro_f1", "loss", "diverged")


def main() -> None:
    params = read_params()
    metrics = {name: read_metrics(METRICS / f"{name}.json") for name in params.models}
    metrics |= {name: read_baseline(METRICS / f"{name}.json") for name in BASELINES}
    leakage = read_json(PLOTS / "leakage.json")
    best = max(params.models, key=lambda name: metrics[name]["accuracy"])
    lead = [
        f"Best of {len(params.models)} models on the test rows: {best}, accuracy "
        f"{metrics[best]['accuracy']:.4f}, 95 % interval {metrics[best]['low']:.4f} to "
        f"{metrics[best]['high']:.4f}. Always naming the majority class: "
        f"{metrics['majority']['accuracy']:.4f}. Nearest neighbour, which learns nothing: "
        f"{metrics['nearest_neighbour']['accuracy']:.4f}.",
        leakage["sentence"],
    ]
    sections = [
        data_section(params),
        leak_section(leakage, metrics),
        results_section(metrics, params),
        Section(
            "Training",
            [
                picture("history.png", "Training loss and accuracy of each model by epoch"),
                picture("learning_rate.png", "Models that differ only in the learning rate"),
            ],
        ),
        Section("Confusion", [confusion_table(name) for name in params.models]),
        Section(
            "Made from",
            [
                Listing(PATH.read_text(encoding="utf-8")),
                Table(
                    "Versions",
                    ("package", "version"),
                    [(name, version(name)) for name in ("torch", "scikit-learn", "dvc")],
                ),
            ],
        ),
    ]
    write_bytes(OUT, page("Brain-MRI slices: report", lead, sections).encode())
    print(f"wrote {OUT}")


def picture(name: str, alt: str) -> Picture:
    return Picture((PLOTS / name).read_bytes(), alt)


def data_section(params: Params) -> Section:
    meta, described = read_meta(META), read_json(META)
    counts = described["counts"]
    split = {
        "given": "Train and test are as the raw files are.",
        "subject": f"Test is fold {params.data.fold} of {params.data.folds} by subject.",
        "random": f"Test is fold {params.data.fold} of {params.data.folds} random ones.",
    }[params.data.split]
    missing = left_out([name for name in meta.classes if name not in meta.scored], "Of models,")
    shape = " x ".join(map(str, meta.image_shape))
    rows: list[list[str | float]] = [
        [name, *of_class]
        for name, *of_class in zip(meta.classes, counts["train"], counts["test"], strict=True)
    ]
    return Section(
        "Data",
        [
            f"{sum(counts['train'])} training and {sum(counts['test'])} test rows of {shape} "
            f"(channels x height x width) from {params.data.raw}. {split}{missing}",
            Table("Rows by class", ("class", "train", "test"), rows),
            picture("sample.png", "Training slices, one of each class"),
        ],
    )


def left_out(classes: Sequence[str], where: str) -> str:
    """A sentence on the classes that are not in every test set; none where all are."""
    if not classes:
        return ""
    return f" {where} balanced accuracy and macro F1 leave out {', '.join(classes)}."


def leak_section(leakage: dict[str, Any], metrics: dict[str, Any]) -> Section:
    known = {
        "shared_subjects": "test rows whose subject also has training rows",
        "same_subject_neighbour": "test rows whose nearest training row is of the same subject",
        "closest_twentieth": "how far the closest twentieth of the test rows are at most from a "
        "training row, as a share of the distance between two test rows",
    }
    folds = [
        f"On {words} folds of all rows nearest neighbour scores {found['accuracy']:.4f}."
        + left_out(leakage["left_out_on_folds"][kind], "There")
        for kind, words in (("random", "random"), ("subject", "subject-disjoint"))
        if (found := metrics[f"nearest_neighbour_{kind}"])
    ]
    return Section(
        "Is test new to the models?",
        [
            " ".join([leakage["sentence"], *folds]),
            Table(
                "Kinship of test and training rows",
                ("what", "share"),
                [(text, leakage[key]) for key, text in known.items() if key in leakage],
            ),
            picture("neighbours.png", "How close the test rows are to their nearest training rows"),
        ],
    )


def results_section(metrics: dict[str, Any], params: Params) -> Section:
    accuracy = picture("accuracy.png", "Accuracy of models and baselines with 95 % intervals")
    table = Table(
        "Metrics; low and high: 95 % interval of the accuracy",
        ("", *KEYS),
        [(name, *map(found.get, KEYS)) for name, found in metrics.items() if found],
    )
    pairs = [pairs_table()] if len(params.models) > 1 else []
    return Section("Results", [accuracy, table, *pairs])


def pairs_table() -> Table:
    pairs = read_csv(PLOTS / "pairs.csv")
    known = bool(pairs[0]["by_subject"])
    return Table(
        "Each pair of models: test rows that only one of them gets right; p by McNemar's exact "
        f"test{' and by permuting subjects' if known else ''}, corrected for the number of pairs "
        "(Holm)",
        (
            *("first", "second", "only first", "only second", "p"),
            *(["p by subject"] if known else []),
            "in words",
        ),
        [
            (
                row["a"],
                row["b"],
                int(row["only_a"]),
                int(row["only_b"]),
                float(row["mcnemar"]),
                *([float(row["by_subject"])] if known else []),
                row["verdict"],
            )
            for row in pairs
        ],
    )


def confusion_table(name: str) -> Table:
    rows = read_csv(PLOTS / f"confusion/{name}.csv")
    classes = read_meta(META).classes
    counts = Counter((row["actual"], row["predicted"]) for row in rows)
    totals = Counter(row["actual"] for row in rows)
    return Table(
        f"{name}: test rows by actual class (line) and predicted class (column)",
        ("", *classes, "recall"),
        [
            (
                actual,
                *(
                    Share(counts[actual, p], counts[actual, p] / max(1, totals[actual]))
                    for p in classes
                ),
                counts[actual, actual] / totals[actual] if totals[actual] else None,
            )
            for actual in classes
        ],
    )


if __name__ == "__main__":
    run(main)
