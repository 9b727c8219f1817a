"""The tables of results, made from records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mri_stages.reporting.numbers import format_p, format_p_equation, format_range, format_score
from mri_stages.reporting.scores import AUC, Score, select_known_scores
from mri_stages.storage.records import (
    NO_RESULT,
    ConfusionCell,
    Difference,
    Estimate,
    Metrics,
    Pair,
    Power,
    RobustnessRow,
)

MAX_CONFUSION_CLASSES = 24  # a table with more columns is not legible


@dataclass(frozen=True)
class ShadedCount:
    """A cell with a number, shaded by its share of the row."""

    text: str
    share: float


@dataclass(frozen=True)
class DetailedCell:
    """A cell with a figure, and in smaller letters its interval or p."""

    text: str
    detail: str


Cell = str | float | None | ShadedCount | DetailedCell


class Table(NamedTuple):
    caption: str
    header: list[str]
    rows: list[tuple[Cell, ...]]


MetricsByModel = Mapping[str, Metrics]


def build_score_table(
    caption: str,
    metrics_by_name: MetricsByModel,
    scores: Iterable[Score],
    missing_models: Iterable[str] = (),
    has_kept_epochs: bool = False,
) -> Table:
    """Return a row per model with the scores that are known; last, models without a result.

    has_kept_epochs: whether the last column is the kept epoch, where a model has one.
    """
    known_scores = select_known_scores(scores, metrics_by_name)
    header = ["", *(score.heading for score in known_scores)]
    rows: list[tuple[Cell, ...]] = []
    for name, metrics in metrics_by_name.items():
        rows.append((name, *(build_score_cell(metrics, score) for score in known_scores)))

    epochs = [describe_kept_epoch(metrics) for metrics in metrics_by_name.values()]
    if has_kept_epochs and any(epochs):
        header.append("kept epoch")
        rows = [(*row, epoch or "-") for row, epoch in zip(rows, epochs, strict=True)]
    empty_cells = [None] * (len(header) - 2)
    rows += [(name, NO_RESULT, *empty_cells) for name in missing_models]
    return Table(caption, header, rows)


def build_robustness_table(
    caption: str, rows_by_model: Mapping[str, Sequence[RobustnessRow]]
) -> Table:
    """Return a row per change of the images, with the AUC of each model and its interval."""
    names = list(rows_by_model)
    changes: dict[tuple[str, float, str], list[Cell]] = {}
    for name in names:
        for row in rows_by_model[name]:
            cells = changes.setdefault((row.change, row.strength, row.unit or ""), [])
            cells.append(build_estimate_cell(Estimate(row.auc, row.low, row.high)))

    rows: list[tuple[Cell, ...]] = []
    for (change, strength, unit), cells in changes.items():
        text = f"{change} {strength:g} {unit}" if unit else change
        rows.append((text, *cells))
    return Table(caption, ["images", *names], rows)


def build_score_cell(metrics: Metrics, score: Score) -> Cell:
    """Return a score with its interval; `diverged` in place of an AUC."""
    if score is AUC and metrics.diverged:
        return "diverged"
    return build_estimate_cell(metrics.get_estimate(score.key))


def build_estimate_cell(estimate: Estimate) -> Cell:
    detail = format_range(estimate.low, estimate.high)
    if not detail:
        return estimate.value
    return DetailedCell(format_score(estimate.value), detail)


def describe_kept_epoch(metrics: Metrics) -> str | None:
    """Return the kept epoch, of folds the median and the range; None without validation."""
    if metrics.kept_epoch is None:
        return None
    if metrics.kept_epoch_low is None:
        return f"{metrics.kept_epoch:g}"
    return f"{metrics.kept_epoch:g} ({metrics.kept_epoch_low} to {metrics.kept_epoch_high})"


def build_difference_table(caption: str, differences: Iterable[Difference]) -> Table:
    """Return a row per pair: the difference of AUC with its interval, p and the units."""
    rows: list[tuple[Cell, ...]] = []
    for row in differences:
        difference = build_estimate_cell(Estimate(row.difference, row.low, row.high))
        rows.append((row.first, row.second, difference, format_p(row.p, row.p_is_floor)))
    return Table(caption, ["AUC of", "minus AUC of", "difference", "p"], rows)


def build_pair_matrix(caption: str, pairs: Iterable[Pair]) -> Table:
    """Return a matrix: how many more rows the model of the row predicts correctly, with p."""
    cells: dict[tuple[str, str], Cell] = {}
    names: dict[str, None] = {}
    for pair in pairs:
        names.update(dict.fromkeys((pair.a, pair.b)))
        n_more = pair.only_a - pair.only_b
        p = f"({format_p_equation(pair.p, pair.p_is_floor)})"
        cells[pair.a, pair.b] = DetailedCell(f"{n_more:+d}", p)
        cells[pair.b, pair.a] = DetailedCell(f"{-n_more:+d}", p)
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        rows.append((name, *(cells.get((name, other), "") for other in names)))
    return Table(caption, ["", *names], rows)


def build_confusion_table(
    caption: str, cells: Sequence[ConfusionCell], classes: Sequence[str]
) -> Table:
    """Return a row per actual class: how often each class was predicted, shaded by the share.

    Of many classes, a row has the most frequent wrong class only.
    """
    counts = {(cell.actual, cell.predicted): cell.count for cell in cells}
    totals = {cell.actual: cell.total for cell in cells}
    if len(classes) > MAX_CONFUSION_CLASSES:
        return build_short_confusion_table(caption, counts, totals, classes)

    rows: list[tuple[Cell, ...]] = []
    for actual in classes:
        row: list[Cell] = [actual]
        for predicted in classes:
            count = counts.get((actual, predicted), 0)
            row.append(ShadedCount(format_count(count), count / max(1, totals.get(actual, 0))))
        rows.append(tuple(row))
    return Table(caption, ["actual \\ predicted", *classes], rows)


def build_short_confusion_table(
    caption: str,
    counts: Mapping[tuple[str, str], float],
    totals: Mapping[str, float],
    classes: Sequence[str],
) -> Table:
    """Return a row per actual class: its number, those that are right, the worst wrong class."""
    rows: list[tuple[Cell, ...]] = []
    for actual in classes:
        wrong_counts = {
            predicted: count
            for (cell_actual, predicted), count in counts.items()
            if cell_actual == actual and predicted != actual
        }
        worst = max(wrong_counts, key=lambda name: wrong_counts[name], default="")
        total = format_count(totals.get(actual, 0))
        n_right = format_count(counts.get((actual, actual), 0))
        rows.append((actual, total, n_right, worst, format_count(wrong_counts.get(worst, 0))))
    header = ["actual", "number", "right", "most frequent wrong class", "so predicted"]
    return Table(caption, header, rows)


def build_class_table(
    caption: str, cells: Sequence[ConfusionCell], classes: Sequence[str], unit: str
) -> Table:
    """Return a row per class: its number, and the share of it and of its predictions that is right.

    Only classes with a unit are listed.
    """
    right_counts = {cell.actual: cell.count for cell in cells if cell.actual == cell.predicted}
    totals = {cell.actual: cell.total for cell in cells}
    predicted_counts = dict.fromkeys(classes, 0.0)
    for cell in cells:
        predicted_counts[cell.predicted] += cell.count

    rows: list[tuple[Cell, ...]] = []
    for name in classes:
        total = totals.get(name, 0)
        if not total:
            continue
        n_right = right_counts.get(name, 0)
        precision = n_right / predicted_counts[name] if predicted_counts[name] else None
        rows.append((name, ShadedCount(format_count(total), 0), n_right / total, precision))
    header = ["class", f"{unit}s", "sensitivity (recall)", "positive predictive value (precision)"]
    return Table(caption, header, rows)


def format_count(count: float) -> str:
    """Return a count, which is a mean over repeats: with one decimal where it is not whole."""
    return f"{count:.0f}" if float(count).is_integer() else f"{count:.1f}"


def build_power_table(caption: str, power: Power) -> Table:
    """Return a row per AUC: the interval to expect, and the smallest difference to be seen."""
    rows: list[tuple[Cell, ...]] = []
    for row in power.expected:
        interval = DetailedCell(f"{row.auc:g}", format_range(row.low, row.high))
        rows.append((interval, row.difference_0, row.difference_50, row.difference_80))
    header = [
        "AUC, interval to expect",
        "smallest difference seen, scores of correlation 0",
        "correlation 0.5",
        "correlation 0.8",
    ]
    return Table(caption, header, rows)
