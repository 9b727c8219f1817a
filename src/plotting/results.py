"""The pictures that set the models side by side."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from src.plotting.style import BLUE, GREY, PALETTE, VERMILION
from src.storage.dataset import Epoch

HIGHEST_LOSS = 1e3  # a curve above it needs no number
TEXT: dict[str, Any] = {"fontsize": 9, "va": "center"}
LABELS = {
    "nearest_neighbour": "nearest neighbour",
    "nearest_neighbour_random": "nearest neighbour,\nrandom folds",
    "nearest_neighbour_subject": "nearest neighbour,\nfolds by subject",
}
Metrics = Any  # with accuracy, ci_low, ci_high and diverged


def accuracy_figure(
    models: Mapping[str, Metrics], baselines: Mapping[str, Metrics], n_rows: int, interval: str
) -> Figure:
    """Return the accuracies with confidence intervals, and a line at the baseline `majority`.

    n_rows: test rows of a model. interval: the method of the confidence intervals.
    """
    shown = {**models, **baselines}
    figure = Figure(figsize=(8, 1.6 + 0.4 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for place, (name, metrics) in enumerate(shown.items()):
        colour, marker = (GREY, "s") if name in baselines else (BLUE, "o")
        text = f"{metrics.accuracy:.1%}"
        if metrics.diverged:
            colour, marker, text = VERMILION, "X", f"{text} diverged"
        axes.plot([metrics.ci_low, metrics.ci_high], [place, place], color=colour, linewidth=2)
        axes.plot(metrics.accuracy, place, marker, color=colour, markersize=8, clip_on=False)
        axes.text(1.03, place, text, transform=axes.get_yaxis_transform(), **TEXT)
    axes.axvline(baselines["majority"].accuracy, color=GREY, linestyle="--", zorder=0)
    axes.set_yticks(range(len(shown)), [LABELS.get(name, name) for name in shown])
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6))  # the first at the top
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel(
        f"accuracy on {n_rows} test rows (folds: on all rows), with its 95 % confidence interval\n"
        f"({interval}); dashed: majority class"
    )
    axes.grid(axis="x", alpha=0.3)
    axes.set_title("Accuracy of the models, and of baselines that learn nothing")
    return figure


def history_figure(histories: Mapping[str, Sequence[Epoch]]) -> Figure:
    """Return training loss and accuracy of each model by epoch.

    A cross marks a run that diverged. It has no loss at its end, so its cross is above the panel.
    """
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    above = 1.0  # in heights of the panel
    for colour, (name, rows) in zip(PALETTE * len(histories), histories.items(), strict=False):
        epochs, losses, _, accuracies = zip(*rows, strict=True)
        diverged = math.isnan(losses[-1])
        line: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 4}
        loss.plot(epochs, losses, **line)
        accuracy.plot(epochs, accuracies, **line, label="" if diverged else name)
        if diverged:
            above += 0.06
            cross: dict[str, Any] = {"color": VERMILION, "mec": colour, "markersize": 9}
            heights = loss.get_xaxis_transform()
            loss.plot(epochs[-1], above, "X", **cross, transform=heights, clip_on=False)
            accuracy.plot(epochs[-1], accuracies[-1], "X", **cross, label=f"{name}, diverged")
    loss.set(yscale="log", ylabel="training loss (log scale)")
    loss.margins(y=0.02)
    if loss.get_ylim()[1] > HIGHEST_LOSS:  # the first loss of a run that diverges can be 1e29
        loss.set_ylim(top=HIGHEST_LOSS)
    loss.set_title("Training of each model", y=above + 0.03)
    accuracy.set(ylim=(0, 1.02), ylabel="training accuracy", xlabel="epoch")
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
        f"Models that differ only in the learning rate\nline: 95 % confidence interval ({interval})"
    )
    top.set(ylim=(0, 1), ylabel="test accuracy", xscale="log")
    top.yaxis.set_major_formatter(PercentFormatter(1))
    bottom.set(ylabel="training loss, last epoch", xlabel="learning rate (log scale)")
    bottom.margins(y=0.1)
    for axes in (top, bottom):
        axes.margins(x=0.18)  # room for the names
        axes.grid(alpha=0.3)
    return figure
