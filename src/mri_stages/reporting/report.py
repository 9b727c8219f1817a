"""The report of the pipeline: what its template shows, and the tables made from records."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from mri_stages.reporting.page import render_page
from mri_stages.storage.arrays import Shape
from mri_stages.storage.records import NO_RESULT, ConfusionRow, Leakage, Metrics, Pair

MAX_SHOWN_COPIES = 20  # rows of each table of equal rows
MAX_CONFUSION_CLASSES = 24  # a table with more columns is not legible
# The page says two of them in sentences, and two beside kept_epoch.
HIDDEN_METRICS = {"unscored_classes", "by", "kept_epoch_low", "kept_epoch_high"}


@dataclass(frozen=True)
class ShadedCount:
    """A cell with a number, shaded by its share of the row."""

    count: int
    share: float


Cell = str | float | None | ShadedCount


class Table(NamedTuple):
    header: list[str]
    rows: list[tuple[Cell, ...]]


@dataclass(frozen=True)
class Results:
    """The results on the given split, or on new subjects."""

    metrics: Mapping[str, Metrics]  # by model or baseline
    best: str  # name of the best one; empty where no model has a result
    missing_models: list[str]  # without a result
    table: Table
    pairs: list[Pair]

    @property
    def best_metrics(self) -> Metrics:
        return self.metrics[self.best]

    @property
    def majority(self) -> Metrics:
        return self.metrics["majority"]


@dataclass(frozen=True)
class ReportPage:
    """Everything that report.html.jinja shows."""

    title: str  # of the data
    unit: Literal["subject", "row"]  # what cross-validation counts
    n_folds: int
    n_models: int  # with a result on the given split
    auc_label: str
    new: Results | None  # None where no folds are possible
    given: Results
    leakage_warning: str  # empty without exact copies
    leakage_sentence: str
    leakage_rows: list[tuple[str, float]]
    copy_rows: list[tuple[Cell, ...]]  # a test row, and the training row that it is equal to
    conflict_rows: list[tuple[Cell, ...]]  # two equal rows, each with its class or subject
    has_learning_rates: bool  # whether some models differ in nothing else
    confusion: dict[str, Table]  # by model
    raw_folder: str
    image_shape: Shape
    n_train_rows: int
    n_test_rows: int
    class_rows: list[tuple[str, int, int]]  # class, training rows, test rows
    has_numbered_classes: bool  # whether the font of the pictures may lack a letter of a name
    pictures: dict[str, bytes]  # PNG, by name
    params_text: str
    versions: list[tuple[str, str]]  # of packages


def render_report(page: ReportPage) -> bytes:
    return render_page("report.html.jinja", **vars(page))


def build_results(
    metrics: Mapping[str, Metrics], best: str, missing_models: list[str], pairs: list[Pair]
) -> Results:
    table = build_metrics_table(metrics, missing_models)
    return Results(metrics, best, missing_models, table, pairs)


def build_metrics_table(metrics: Mapping[str, Metrics], missing_models: Sequence[str]) -> Table:
    """Return a row per model, without the columns that are empty; last, models without a result."""
    values_by_name = {}
    for name, model_metrics in metrics.items():
        values = model_metrics.model_dump(exclude=HIDDEN_METRICS)
        values_by_name[name] = {**values, "kept_epoch": describe_kept_epoch(model_metrics)}
    columns = [
        column
        for column in Metrics.model_fields
        if any(values.get(column) is not None for values in values_by_name.values())
    ]
    rows: list[tuple[Cell, ...]] = [
        (name, *(values[column] for column in columns)) for name, values in values_by_name.items()
    ]
    empty_cells = [None] * (len(columns) - 1)
    rows += [(name, NO_RESULT, *empty_cells) for name in missing_models]
    return Table(["", *columns], rows)


def describe_kept_epoch(metrics: Metrics) -> str | None:
    """Return the kept epoch, of folds the median and the range; None without validation."""
    if metrics.kept_epoch is None:
        return None
    if metrics.kept_epoch_low is None:
        return f"{metrics.kept_epoch:g}"
    return f"{metrics.kept_epoch:g} ({metrics.kept_epoch_low} to {metrics.kept_epoch_high})"


def build_confusion_table(predictions: Sequence[ConfusionRow], classes: Sequence[str]) -> Table:
    """Return a row per actual class: test rows by predicted class, and the recall.

    Of many classes, a row has the most frequent wrong class only.
    """
    counts = Counter(predictions)
    if len(classes) > MAX_CONFUSION_CLASSES:
        return _build_short_confusion_table(counts, classes)

    rows: list[tuple[Cell, ...]] = []
    for actual in classes:
        row_counts = [counts[ConfusionRow(actual, predicted)] for predicted in classes]
        n_rows = sum(row_counts)
        cells = [ShadedCount(count, count / max(1, n_rows)) for count in row_counts]
        recall = counts[ConfusionRow(actual, actual)] / n_rows if n_rows else None
        rows.append((actual, *cells, recall))
    return Table(["", *classes, "recall"], rows)


def _build_short_confusion_table(
    counts: Mapping[ConfusionRow, int], classes: Sequence[str]
) -> Table:
    """Return a row per actual class: test rows, recall, and the most frequent wrong class."""
    counts_by_actual: dict[str, dict[str, int]] = {name: {} for name in classes}
    for (actual, predicted), count in counts.items():
        counts_by_actual[actual][predicted] = count

    rows: list[tuple[Cell, ...]] = []
    for actual, row_counts in counts_by_actual.items():
        n_rows = sum(row_counts.values())
        n_right = row_counts.pop(actual, 0)
        recall = n_right / n_rows if n_rows else None
        worst = max(row_counts, key=lambda name: row_counts[name], default="")
        rows.append((actual, n_rows, recall, worst, row_counts.get(worst)))
    return Table(["", "test rows", "recall", "most frequent wrong class", "of them"], rows)


def list_leakage_rows(leakage: Leakage, n_test_rows: int) -> list[tuple[str, float]]:
    """Return the shares of plots/leakage.json that are known, each with what it counts."""
    copied_share = None
    if leakage.copied_test_rows is not None:
        copied_share = leakage.copied_test_rows / n_test_rows
    labelled_shares: list[tuple[str, Any]] = [
        ("test rows that are exact copies of a training row", copied_share),
        ("test rows whose subject also has training rows", leakage.shared_subjects),
        (
            "test rows whose nearest training row is of the same subject",
            leakage.same_subject_neighbour,
        ),
        (
            "rows whose nearest row in all data is of the same subject, of subjects with several "
            "rows",
            leakage.nearest_row_of_same_subject,
        ),
        (
            "test rows that the nearest neighbour predicts correctly, on the given split",
            leakage.nearest_neighbour_given,
        ),
        (
            "rows that it predicts correctly, on random folds of all rows",
            leakage.nearest_neighbour_random,
        ),
    ]
    return [(label, share) for label, share in labelled_shares if share is not None]


def list_copy_rows(leakage: Leakage) -> list[tuple[Cell, ...]]:
    """Return the first test rows that are equal to a training row, with that row."""
    return [(copy.test, copy.train) for copy in (leakage.copies or [])[:MAX_SHOWN_COPIES]]


def list_conflict_rows(leakage: Leakage) -> list[tuple[Cell, ...]]:
    """Return the first equal rows of two classes, then of two subjects."""
    rows: list[tuple[Cell, ...]] = []
    for conflicts in (leakage.class_conflicts, leakage.subject_conflicts):
        for conflict in (conflicts or [])[:MAX_SHOWN_COPIES]:
            rows.append(
                (conflict.first, conflict.first_value, conflict.second, conflict.second_value)
            )
    return rows


def describe_auc(negative_class: str | None) -> str:
    if negative_class is None:
        return "macro AUC"
    return f"AUC of any other class against {negative_class}"
