"""The pictures that set the models side by side."""

import math
import textwrap
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from src.plotting.style import BLUE, GREY, PALETTE, VERMILION
from src.storage.dataset import Epoch
from src.storage.predictions import RocPoint

HIGHEST_LOSS = 1e3  # a curve above it needs no number
TEXT: dict[str, Any] = {"fontsize": 9, "va": "center"}
LABELS = {"nearest_neighbour": "nearest neighbour"}
Metrics = Any  # with accuracy, ci_low, ci_high and diverged


class Interval(NamedTuple):
    value: float
    low: float
    high: float


class Panel(NamedTuple):
    """One figure of several models; a model without it has no Interval."""

    label: str
    intervals: Mapping[str, Interval]
    reference: float  # of a constant answer: a dashed line


def interval_figure(
    panels: Sequence[Panel],
    names: Sequence[str],
    diverged: Container[str],
    baselines: Container[str],
    title: str,
    note: str,
) -> Figure:
    """Return the figures of each name, with 95 % confidence intervals, one panel beside another."""
    figure = Figure(figsize=(4.4 * len(panels) + 3, 1.7 + 0.4 * len(names)), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        for place, name in enumerate(names):
            colour, marker = (GREY, "s") if name in baselines else (BLUE, "o")
            found, text = panel.intervals.get(name), "-"
            if found is not None:
                text = f"{found.value:.3f}"
            if name in diverged:
                colour, marker, text = VERMILION, "X", f"{text} diverged"
            if found is not None:
                axes.plot([found.low, found.high], [place, place], color=colour, linewidth=2)
                axes.plot(found.value, place, marker, color=colour, markersize=8, clip_on=False)
            axes.text(1.03, place, text, transform=axes.get_yaxis_transform(), **TEXT)
        axes.axvline(panel.reference, color=GREY, linestyle="--", zorder=0)
        axes.set(xlim=(0, 1), ylim=(len(names) - 0.4, -0.6), xlabel=panel.label)  # first on top
        axes.grid(axis="x", alpha=0.3)
    grid[0].set_yticks(range(len(names)), [LABELS.get(name, name) for name in names])
    figure.suptitle(title, parse_math=False)
    figure.supxlabel(f"{note}; dashed: a constant answer", fontsize=9)
    return figure


def roc_figure(
    curves: Mapping[str, Sequence[RocPoint]], diverged: Container[str], title: str
) -> Figure:
    """Return the ROC curves of each model, one small panel per model, one line per class."""
    n_columns = min(4, len(curves))
    n_rows = -(-len(curves) // n_columns)
    figure = Figure(figsize=(2.3 * n_columns + 1.6, 2.3 * n_rows + 1), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    names = dict.fromkeys(point.name for points in curves.values() for point in points)
    colours = dict(zip(names, PALETTE * len(names), strict=False))
    for axes in grid[len(curves) :]:
        axes.set_axis_off()
    for axes, (model, points) in zip(grid, curves.items(), strict=False):
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
        for name, colour in colours.items():
            of_name = [point for point in points if point.name == name]
            x = [point.false_positive_rate for point in of_name]
            axes.plot(x, [point.true_positive_rate for point in of_name], color=colour, label=name)
        without = ": diverged" if model in diverged else ": no curve"
        axes.set_title(model if points else model + without, fontsize=9)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    handles, labels = grid[0].get_legend_handles_labels()
    legend = {"title": "positive class", "fontsize": 9, "title_fontsize": 9}
    figure.legend(handles, labels, loc="outside right upper", **legend)
    figure.suptitle(title, parse_math=False)
    figure.supxlabel("false positive rate", fontsize=9)
    figure.supylabel("true positive rate", fontsize=9)
    return figure


def history_figure(
    histories: Mapping[str, Sequence[Epoch]], diverged: Container[str], title: str
) -> Figure:
    """Return loss and accuracy of each model by epoch: training, and dashed validation.

    A cross marks a training that ended without a loss, above the panel. Where an earlier epoch was
    kept by validation, the model itself did not diverge.
    """
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    above = 1.0  # in heights of the panel
    for colour, (name, rows) in zip(PALETTE * len(histories), histories.items(), strict=False):
        epochs = [row.epoch for row in rows]
        without_loss = math.isnan(rows[-1].train_loss)
        line: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 4}
        loss.plot(epochs, [row.train_loss for row in rows], **line)
        label = "" if without_loss else name
        accuracy.plot(epochs, [row.train_accuracy for row in rows], **line, label=label)
        if rows[0].validation_loss is not None:
            line |= {"linestyle": "--", "markersize": 0}
            loss.plot(epochs, [row.validation_loss for row in rows], **line)
            values = [row.validation_accuracy for row in rows]
            accuracy.plot(epochs, values, **line, label=f"{name}, validation")
        if without_loss:
            above += 0.06
            cross: dict[str, Any] = {"color": VERMILION, "mec": colour, "markersize": 9}
            heights = loss.get_xaxis_transform()
            loss.plot(epochs[-1], above, "X", **cross, transform=heights, clip_on=False)
            last = rows[-1].train_accuracy
            end = "diverged" if name in diverged else "loss of NaN after the epoch kept"
            accuracy.plot(epochs[-1], last, "X", **cross, label=f"{name}, {end}")
    loss.set(yscale="log", ylabel="loss (log scale)")
    loss.margins(y=0.02)
    if loss.get_ylim()[1] > HIGHEST_LOSS:  # the first loss of a run that diverges can be 1e29
        loss.set_ylim(top=HIGHEST_LOSS)
    loss.set_title(f"{title}: training of each model", y=above + 0.03, parse_math=False)
    accuracy.set(ylim=(0, 1.02), ylabel="accuracy", xlabel="epoch")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    accuracy.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (loss, accuracy):
        axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=9)
    return figure


def learning_rate_figure(
    groups: Sequence[Mapping[str, float]],
    metrics: Mapping[str, Metrics],
    histories: Mapping[str, Sequence[Epoch]],
    interval: str,
    title: str,
) -> Figure:
    """Return accuracy and final training loss against the learning rate, one colour per group.

    groups: names and learning rates of models that differ in nothing else. No line joins them,
    because we know nothing between two rates. Runs without a finite loss are named above the
    panel. Without groups, a small picture says so.
    """
    if not groups:
        figure = Figure(figsize=(8, 0.8))
        figure.text(0.5, 0.5, "No two models differ only in the learning rate", ha="center")
        return figure
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    without_loss = []
    for colour, group in zip(PALETTE * len(groups), groups, strict=False):
        for name, lr in group.items():
            found, loss = metrics[name], histories[name][-1].train_loss
            label, style = name, {"color": colour, "marker": "o"}
            if found.diverged:
                label, style = f"{name}\ndiverged", {"color": VERMILION, "marker": "X"}
            top.plot([lr, lr], [found.ci_low, found.ci_high], color=style["color"])
            top.plot(lr, found.accuracy, markersize=7, **style)
            bottom.plot(lr, loss, markersize=7, **style)
            for axes, value in ((top, found.accuracy), (bottom, loss)):
                axes.annotate(label, (lr, value), (8, 0), textcoords="offset points", **TEXT)
            if not math.isfinite(loss):
                without_loss.append(f"{name} (lr {lr:g})")
    if without_loss:
        text = f"without a finite loss: {', '.join(without_loss)}"
        bottom.set_title(textwrap.fill(text, 100), fontsize=9, color=VERMILION)
    top.set_title(
        f"{title}: models that differ only in the learning rate\n"
        f"line: 95 % confidence interval ({interval})",
        parse_math=False,
    )
    top.set(ylim=(0, 1), ylabel="test accuracy", xscale="log")
    top.yaxis.set_major_formatter(PercentFormatter(1))
    bottom.set(ylabel="training loss, last epoch", xlabel="learning rate (log scale)")
    bottom.margins(y=0.1)
    for axes in (top, bottom):
        axes.margins(x=0.18)  # room for the names
        axes.grid(alpha=0.3)
    return figure
