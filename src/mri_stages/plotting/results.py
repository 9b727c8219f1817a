"""The pictures that set the models side by side; each takes mappings by the model's name."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle, product
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mri_stages.config.schema import BASELINES
from mri_stages.plotting.style import BLUE, GREY, ORANGE, PALETTE, VERMILION
from mri_stages.storage.history import Epoch
from mri_stages.storage.records import RocPoint

LINES = [*product(("-", "-.", ":"), PALETTE)]  # more than a palette has
MARKERS = [*product("os^vD", PALETTE)]
HIGHEST_LOSS = 1e3  # a curve above it needs no number
DASHED: dict[str, Any] = {"color": GREY, "linestyle": "--", "zorder": 0}
TEXT: dict[str, Any] = {"fontsize": 9, "va": "center"}
Metrics = Mapping[str, Any]  # `Metrics` of src/mri_stages/evaluation/metrics.py
Histories = Mapping[str, Sequence[Epoch]]
# Of each figure its label, and the columns of the ends of its interval.
INTERVALS = {
    "accuracy": ("accuracy", ("ci_low", "ci_high")),
    "auc": ("AUC", ("auc_low", "auc_high")),
}


def interval_figure(
    metrics: Metrics, columns: Sequence[str], title: str, note: str, given: Metrics | None = None
) -> Figure:
    """Return a panel per column of INTERVALS, with each figure and its 95 % confidence interval.

    The dashed line is the figure of `metrics["majority"]`. given: the metrics on the given split,
    which are shown beside those on new subjects.
    """
    size = (4.6 * len(columns) + 3, 1.7 + 0.45 * len(metrics))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(grid, columns, strict=True):
        label, ends = INTERVALS[column]
        for place, (name, found) in enumerate(metrics.items()):
            value, low, high = (getattr(found, key) for key in (column, *ends))
            text = "-" if value is None else f"{value:.3f}"
            colour, marker = (GREY, "s") if name in BASELINES else (BLUE, "o")
            if found.diverged:
                colour, marker, text = VERMILION, "X", f"{text} diverged"
            if value is not None:
                axes.plot([low, high], [place, place], color=colour, linewidth=2)
                axes.plot(value, place, marker, color=colour, markersize=8, clip_on=False)
            beside = getattr(given.get(name), column, None) if given else None
            if beside is not None:
                axes.plot(beside, place + 0.25, "D", mec=ORANGE, mfc="none", mew=1.5, clip_on=False)
                text += f" ({beside:.3f})"
            axes.text(1.03, place, text, transform=axes.get_yaxis_transform(), **TEXT)
        constant = getattr(metrics["majority"], column)
        axes.axvline(math.nan if constant is None else constant, **DASHED)
        axes.set(xlim=(0, 1), ylim=(len(metrics) - 0.4, -0.6), xlabel=label)  # the first on top
        axes.grid(axis="x", alpha=0.3)
    grid[0].set_yticks(range(len(metrics)), list(metrics))
    figure.suptitle(title, parse_math=False)
    figure.supxlabel(f"{note}; dashed: a constant answer", fontsize=9)
    return figure


def roc_figure(curves: Mapping[str, Sequence[RocPoint]], metrics: Metrics, title: str) -> Figure:
    """Return the ROC curves of each model, one small panel per model, one line per class."""
    n_columns = min(4, len(curves))
    n_rows = -(-len(curves) // n_columns)
    figure = Figure(figsize=(2.3 * n_columns + 1.6, 2.3 * n_rows + 1), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    names = dict.fromkeys(point.name for points in curves.values() for point in points)
    for axes in grid[len(curves) :]:
        axes.set_axis_off()
    for axes, (model, points) in zip(grid, curves.items(), strict=False):
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
        for name, (style, colour) in zip(names, cycle(LINES)):
            line = [point[1:] for point in points if point.name == name]
            x_and_y = zip(*line, strict=True) if line else ((), ())
            axes.plot(*x_and_y, linestyle=style, color=colour, label=name)
        without = ": diverged" if metrics[model].diverged else ": no curve"
        axes.set_title(model if points else model + without, fontsize=9)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    legend = {"title": "positive class", "fontsize": 9, "title_fontsize": 9}
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right upper", **legend)
    figure.suptitle(title, parse_math=False)
    figure.supxlabel("false positive rate", fontsize=9)
    figure.supylabel("true positive rate", fontsize=9)
    return figure


def history_figure(histories: Histories, metrics: Metrics, title: str) -> Figure:
    """Return loss and accuracy of each model by epoch: training, and dashed validation.

    A cross above the panel marks a training that ended without a loss.
    """
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    above = 1.0  # in heights of the panel
    for (name, rows), (marker, colour) in zip(histories.items(), cycle(MARKERS)):
        epochs = [row.epoch + 1 for row in rows]
        without_loss = math.isnan(rows[-1].train_loss)
        line: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4}
        loss.plot(epochs, [row.train_loss for row in rows], **line)
        label = "" if without_loss else name
        accuracy.plot(epochs, [row.train_accuracy for row in rows], **line, label=label)
        if rows[0].validation_loss is not None:
            line |= {"linestyle": "--", "markersize": 0}
            loss.plot(epochs, [row.validation_loss for row in rows], **line)
            y = [row.validation_accuracy for row in rows]
            accuracy.plot(epochs, y, **line, label=f"{name}, validation")
        if without_loss:
            above += 0.06
            cross: dict[str, Any] = {"color": VERMILION, "mec": colour, "markersize": 9}
            heights = loss.get_xaxis_transform()
            loss.plot(epochs[-1], above, "X", **cross, transform=heights, clip_on=False)
            end = "diverged" if metrics[name].diverged else "loss of NaN after the epoch kept"
            accuracy.plot(epochs[-1], rows[-1].train_accuracy, "X", **cross, label=f"{name}, {end}")
    loss.set(yscale="log", ylabel="loss (log scale)")
    loss.margins(y=0.02)
    if loss.get_ylim()[1] > HIGHEST_LOSS:  # the first loss of a run that diverges can be 1e29
        loss.set_ylim(top=HIGHEST_LOSS)
    loss.set_title(f"{title}: training of each model", y=above + 0.03, parse_math=False)
    accuracy.set(ylim=(0, 1.02), ylabel="accuracy", xlabel="epoch")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    accuracy.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    loss.grid(alpha=0.3)
    accuracy.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=9)
    return figure


def learning_rate_figure(
    groups: Sequence[Mapping[str, float]], metrics: Metrics, histories: Histories, title: str
) -> Figure:
    """Return accuracy and final training loss against the learning rate, one colour per group.

    groups: names and learning rates of models that differ in nothing else.
    """
    if not groups:  # DVC has no optional out; the report leaves this picture out
        figure = Figure(figsize=(8, 0.8))
        figure.text(0.5, 0.5, "No two models differ only in the learning rate", ha="center")
        return figure
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    without_loss = []
    for group, colour in zip(groups, cycle(PALETTE)):
        for name, lr in group.items():
            found, loss = metrics[name], histories[name][-1].train_loss
            label, style = name, {"color": colour, "marker": "o"}
            if found.diverged:
                label, style = f"{name}\ndiverged", {"color": VERMILION, "marker": "X"}
            top.plot([lr, lr], [found.ci_low, found.ci_high], color=style["color"])
            for axes, value in ((top, found.accuracy), (bottom, loss)):
                axes.plot(lr, value, markersize=7, **style)
                axes.annotate(label, (lr, value), (8, 0), textcoords="offset points", **TEXT)
            if not math.isfinite(loss):
                without_loss.append(f"{name} (lr {lr:g})")
    if without_loss:
        text = textwrap.fill(f"without a finite loss: {', '.join(without_loss)}", 100)
        bottom.set_title(text, fontsize=9, color=VERMILION)
    top.set_title(title, parse_math=False)
    top.set(ylim=(0, 1), ylabel="test accuracy", xscale="log")
    top.yaxis.set_major_formatter(PercentFormatter(1))
    bottom.set(ylabel="training loss, last epoch", xlabel="learning rate (log scale)")
    bottom.margins(y=0.1)
    for axes in (top, bottom):
        axes.margins(x=0.18)  # room for the names
        axes.grid(alpha=0.3)
    return figure
