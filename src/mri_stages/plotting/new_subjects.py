"""The pictures of probabilities and decisions on new subjects. Mappings are by the model's name."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mri_stages.plotting.results import LINE_STYLES, MAX_NAME_WIDTH, draw_roc_curves
from mri_stages.plotting.style import BLUE, REFERENCE_COLOUR, draw_sentence
from mri_stages.plotting.text import (
    LABEL_SIZE,
    SMALL_SIZE,
    label_names,
    measure_extra_height,
    wrap_text,
)
from mri_stages.storage.records import (
    CalibrationPoint,
    DecisionPoint,
    Metrics,
    RocPoint,
)

NO_TWO_CLASSES = (
    "Only for two classes: evaluation.negative_class in params.yaml names one against all others"
)
NO_CURVE = "No network has a curve on new subjects"

MAX_COLUMNS = 2
N_BARS = 20
HISTOGRAM_SHARE = 0.28  # of the height of a panel
DECISION_MARGIN = 0.25  # of the range of net benefit above 0, which is also shown below 0

# Inches.
WIDTH = 6.4
MIN_CALIBRATION_WIDTH = 5.4
PANEL_SIZE = 3.1
MAX_PANEL_NAME_WIDTH = 2.4
MAX_ROC_NAME_WIDTH = 1.5  # leaves room for the AUC

REFERENCE: dict[str, Any] = {"color": REFERENCE_COLOUR, "linestyle": ":", "linewidth": 1.5}


def draw_calibration(curves: Mapping[str, Sequence[CalibrationPoint]], title: str) -> Figure:
    """Return a panel per model: the observed share against p, above the histograms of p.

    Bars up are subjects of the positive class, bars down are those of the other.
    """
    known_curves = {name: points for name, points in curves.items() if points}
    if not known_curves:
        return draw_sentence(NO_TWO_CLASSES)

    n_columns = min(MAX_COLUMNS, len(known_curves))
    n_rows = math.ceil(len(known_curves) / n_columns)
    width = max(MIN_CALIBRATION_WIDTH, n_columns * PANEL_SIZE + 0.4)
    figure_title = wrap_text(title, width - 0.3)
    height = n_rows * (PANEL_SIZE + 0.3) + 0.8 + measure_extra_height(figure_title)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(figure_title, parse_math=False)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(known_curves) :]:
        axes.set_axis_off()

    names = label_names(list(known_curves), "model", MAX_PANEL_NAME_WIDTH, LABEL_SIZE)
    for axes, (name, points) in zip(panels, known_curves.items(), strict=False):
        _draw_calibration_panel(axes, points)
        axes.set_title(names[name], fontsize=LABEL_SIZE, parse_math=False)
    for axes in panels[: len(known_curves)][-n_columns:]:
        axes.tick_params(labelbottom=True)  # also where no panel stands below
    figure.supxlabel(
        "predicted probability of the positive class\n"
        "bars: subjects by probability, up of the positive class, down of the other",
        fontsize=SMALL_SIZE,
    )
    figure.supylabel("share that is of the positive class", fontsize=SMALL_SIZE)
    return figure


def _draw_calibration_panel(axes: Axes, points: Sequence[CalibrationPoint]) -> None:
    axes.plot([0, 1], [0, 1], **REFERENCE)
    probabilities = [point.p for point in points]
    observed = [math.nan if point.observed is None else point.observed for point in points]
    axes.plot(probabilities, observed, color=BLUE, linewidth=2)

    # The bars stand on a line of their own below the curves.
    positives = sum_bins([point.positives for point in points])
    negatives = sum_bins([point.negatives for point in points])
    tallest = max(positives.max() + negatives.max(), 1e-9)
    unit = HISTOGRAM_SHARE / tallest
    baseline = -HISTOGRAM_SHARE - 0.05 + negatives.max() * unit
    centres = (np.arange(N_BARS) + 0.5) / N_BARS
    bar_width = 0.8 / N_BARS
    axes.bar(centres, positives * unit, bar_width, bottom=baseline, color=BLUE)
    axes.bar(centres, -negatives * unit, bar_width, bottom=baseline, color=REFERENCE_COLOUR)
    axes.axhline(baseline, color=REFERENCE_COLOUR, linewidth=0.5)
    ticks = (0, 0.25, 0.5, 0.75, 1)
    bottom = -HISTOGRAM_SHARE - 0.08
    axes.set(xlim=(-0.02, 1.02), ylim=(bottom, 1.03), xticks=ticks, yticks=ticks)
    axes.grid(alpha=0.3)


def sum_bins(counts: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the counts in N_BARS bars of equal width, from narrower bins of equal width."""
    bars = np.zeros(N_BARS)
    for place, count in enumerate(counts):
        bars[place * N_BARS // len(counts)] += count
    return bars


def draw_decisions(
    curves: Mapping[str, Sequence[DecisionPoint]], threshold: float, title: str
) -> Figure:
    """Return the net benefit of each model by threshold, beside those of treating all and none.

    threshold: the one of the tables, shown as a vertical line.
    """
    known_curves = {name: points for name, points in curves.items() if points}
    if not known_curves:
        return draw_sentence(NO_TWO_CLASSES)

    figure, axes = _make_single_panel(title)
    points = next(iter(known_curves.values()))
    thresholds = [point.threshold for point in points]
    treat_all: dict[str, Any] = {**REFERENCE, "linestyle": "--"}
    axes.plot(thresholds, [point.treat_all for point in points], **treat_all, label="treat all")
    axes.plot(thresholds, [point.treat_none for point in points], **REFERENCE, label="treat none")
    axes.axvline(threshold, color=REFERENCE_COLOUR, linewidth=0.8, label=f"threshold {threshold:g}")
    names = label_names(list(known_curves), "model", MAX_NAME_WIDTH)
    highest = max(point.treat_all for point in points)
    for (name, model_points), (line_style, colour) in zip(
        known_curves.items(), cycle(LINE_STYLES), strict=False
    ):
        benefits = [point.model for point in model_points]
        highest = max(highest, *benefits)
        axes.plot(thresholds, benefits, linestyle=line_style, color=colour, label=names[name])

    top = max(highest, 0.05) * 1.05
    axes.set(xlim=(0, 1), ylim=(-DECISION_MARGIN * top, top))
    axes.set_xlabel("threshold: positive from this probability on")
    axes.set_ylabel("net benefit")
    axes.grid(alpha=0.3)
    _add_legend_below(figure, axes)
    return figure


def draw_new_roc(
    curves: Mapping[str, Sequence[RocPoint]],
    metrics: Mapping[str, Metrics],
    classes: Sequence[str],
    title: str,
) -> Figure:
    """Return the ROC curves: in one panel where a model has one curve, else a panel per model."""
    known_curves = {name: points for name, points in curves.items() if points}
    if not known_curves:
        return draw_sentence(NO_CURVE)
    names_of_curves = {point.name for points in known_curves.values() for point in points}
    if len(names_of_curves) > 1:
        return draw_roc_curves(curves, metrics, classes, title)

    figure, axes = _make_single_panel(title)
    axes.plot([0, 1], [0, 1], **REFERENCE, label="chance")
    names = label_names(list(known_curves), "model", MAX_ROC_NAME_WIDTH)
    for (name, points), (line_style, colour) in zip(
        known_curves.items(), cycle(LINE_STYLES), strict=False
    ):
        auc = metrics[name].auc
        label = names[name] if auc is None else f"{names[name]}, AUC {auc:.3f}"
        axes.plot(
            [point.false_positive_rate for point in points],
            [point.true_positive_rate for point in points],
            linestyle=line_style,
            color=colour,
            label=label,
        )
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set_xlabel("false positive rate: 1 - specificity")
    axes.set_ylabel("true positive rate: sensitivity")
    axes.grid(alpha=0.3)
    _add_legend_below(figure, axes)
    return figure


def _make_single_panel(title: str) -> tuple[Figure, Axes]:
    figure_title = wrap_text(title, WIDTH - 0.3)
    height = 5.4 + measure_extra_height(figure_title)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(figure_title, parse_math=False)
    return figure, figure.subplots()


def _add_legend_below(figure: Figure, axes: Axes) -> None:
    """Add a legend below the panel, for which the figure grows; `$` in a label is a letter."""
    handles, labels = axes.get_legend_handles_labels()
    options: dict[str, Any] = {"loc": "outside lower center", "ncols": 2}
    legend = figure.legend(handles, labels, fontsize=SMALL_SIZE, **options)
    for text in legend.get_texts():
        text.set_parse_math(False)
    n_lines = math.ceil(len(labels) / 2)
    figure.set_figheight(figure.get_figheight() + 0.2 * max(0, n_lines - 2))
