"""The pictures that set the models side by side."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from src.palette import BLUE, GREEN, GREY, ORANGE, PALETTE, VERMILION

Metrics = Mapping[str, Any]

HOPELESS = 1e3  # a loss above it needs no number


def accuracy_figure(
    models: Mapping[str, Metrics], baselines: Mapping[str, Metrics], n_rows: int, interval: str
) -> Figure:
    """Accuracy of each model and baseline with its interval; a line at the majority class."""
    rows = {**models, **{name: metrics for name, metrics in baselines.items() if metrics}}
    names = list(rows)[::-1]  # matplotlib counts from the bottom
    figure = Figure(figsize=(8, 1.6 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(names):
        m = rows[name]
        colour, marker = (GREY, "s") if name in baselines else (BLUE, "o")
        text = f"{m['accuracy']:.1%}"
        if m.get("diverged"):
            colour, marker, text = VERMILION, "X", f"{text} diverged"
        axes.plot([m["low"], m["high"]], [place, place], color=colour, linewidth=2)
        axes.plot(m["accuracy"], place, marker, color=colour, markersize=8)
        axes.text(1.02, place, text, va="center", fontsize=9, transform=axes.get_yaxis_transform())
    axes.axvline(baselines["majority"]["accuracy"], color=GREY, linestyle="--")
    axes.annotate(
        "majority class",
        (baselines["majority"]["accuracy"], 1.01),
        xycoords=("data", "axes fraction"),
        ha="center",
        va="bottom",
        fontsize=9,
        color=GREY,
    )
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel(
        f"accuracy on {n_rows} test rows (folds: on all rows); line: 95 % interval ({interval})"
    )
    axes.grid(axis="x", alpha=0.3)
    axes.set_title("Accuracy of models and of baselines that learn nothing", pad=20)
    return figure


def label(name: str) -> str:
    """How a picture calls a model or baseline."""
    return {
        "nearest_neighbour": "nearest neighbour",
        "nearest_neighbour_random": "nearest neighbour,\nrandom folds",
        "nearest_neighbour_subject": "nearest neighbour,\nfolds by subject",
    }.get(name, name)


def history_figure(histories: Mapping[str, Sequence[Mapping[str, str]]]) -> Figure:
    """Training loss and accuracy of each model by epoch; a cross where a run diverged.

    Such a run has no loss at its end; its cross stands at the top of the loss panel.
    """
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    for colour, (name, rows) in zip(PALETTE * len(histories), histories.items(), strict=False):
        epochs = [int(row["epoch"]) for row in rows]
        losses = [float(row["train_loss"]) for row in rows]
        accuracies = [float(row["train_accuracy"]) for row in rows]
        diverged = math.isnan(losses[-1])
        loss.plot(epochs, losses, color=colour, marker="o", markersize=4)
        accuracy.plot(
            epochs,
            accuracies,
            color=colour,
            marker="o",
            markersize=4,
            label=None if diverged else name,
        )
        if diverged:
            cross: dict[str, Any] = {"color": VERMILION, "mec": colour, "markersize": 10}
            text = f"{name}, diverged"
            accuracy.plot(epochs[-1], accuracies[-1], "X", label=text, **cross)
            loss.plot(epochs[-1], 0.95, "X", transform=loss.get_xaxis_transform(), **cross)
    loss.set_yscale("log")
    low, high = loss.get_ylim()
    if low < HOPELESS < high:  # the first loss of a run that diverges can be 1e29
        high = HOPELESS
    loss.set_ylim(low, high * (high / low) ** 0.15)  # room for the crosses
    loss.set_ylabel("training loss (log scale)")
    accuracy.set_ylim(0, 1.02)
    accuracy.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    accuracy.set_ylabel("training accuracy")
    accuracy.set_xlabel("epoch")
    accuracy.xaxis.get_major_locator().set_params(integer=True)
    loss.set_title("Training of each model")
    figure.legend(loc="outside right upper", fontsize=9)
    for axes in (loss, accuracy):
        axes.grid(alpha=0.3)
    return figure


def learning_rate_figure(
    groups: Sequence[Sequence[str]],
    lrs: Mapping[str, float],
    metrics: Mapping[str, Metrics],
    final_losses: Mapping[str, float],
    interval: str,
) -> Figure:
    """Accuracy and final training loss against lr, a line a group of models that differ only in lr.

    A run that diverged has no loss; it stands at the top of the loss panel, marked as such.
    """
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    shown = [final_losses[name] for group in groups for name in group]
    finite = [loss for loss in shown if math.isfinite(loss)]
    ceiling = 1.25 * max(finite, default=1.0)
    for colour, group in zip([BLUE, ORANGE, GREEN] * len(groups), groups, strict=False):
        names = sorted(group, key=lambda name: lrs[name])
        x = [lrs[name] for name in names]
        accuracy = [metrics[name]["accuracy"] for name in names]
        errors = [
            [metrics[name]["accuracy"] - metrics[name]["low"] for name in names],
            [metrics[name]["high"] - metrics[name]["accuracy"] for name in names],
        ]
        top.errorbar(x, accuracy, yerr=errors, color=colour, marker="o", capsize=4)
        bottom.plot(
            x,
            [final_losses[name] if math.isfinite(final_losses[name]) else None for name in names],
            color=colour,
            marker="o",
        )
        for name in names:
            diverged = metrics[name]["diverged"]
            label = f"{name}\ndiverged" if diverged else name
            loss = final_losses[name]
            of_loss = (loss, label) if math.isfinite(loss) else (ceiling, f"{label}, no loss")
            of_accuracy = (metrics[name]["accuracy"], label)
            for axes, (value, text) in ((top, of_accuracy), (bottom, of_loss)):
                if diverged:
                    axes.plot(lrs[name], value, "X", color=VERMILION, markersize=10, zorder=3)
                axes.annotate(
                    text,
                    (lrs[name], value),
                    xytext=(8, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=9,
                )
    if groups:
        top.set_xscale("log")
        top.margins(x=0.18)
    else:
        for axes in (top, bottom):
            axes.text(
                0.5,
                0.5,
                "no two models differ only in lr",
                ha="center",
                transform=axes.transAxes,
            )
    top.set_ylim(0, 1)
    bottom.set_ylim(-0.08 * ceiling, 1.15 * ceiling)
    top.set_ylabel("test accuracy")
    top.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    bottom.set_ylabel("training loss, last epoch")
    bottom.set_xlabel("learning rate (log scale)")
    top.set_title(f"Models that differ only in the learning rate\nbars: 95 % interval ({interval})")
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
    return figure
