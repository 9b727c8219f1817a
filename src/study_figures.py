"""The pictures of the studies: a point a cell, so that the luck of a start shows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from src.palette import BLUE, GREEN, GREY, ORANGE, VERMILION
from src.study_cells import Cell, by_value, mean_and_deviation, numbers

COLOURS = (BLUE, ORANGE, GREEN)
NOTEBOOK = {"lr": (1e-8, 0.01, 10), "batch_size": (5, 15, 100)}  # of its models
DIVERGED, UNDEFINED = 0.95, 0.87  # of a panel's height: where cells without a number stand
PANELS: dict[str, tuple[str, str]] = {  # measure: title, scale
    "train_loss": ("training loss", "log"),
    "held_out_accuracy": ("held-out accuracy", "linear"),
    "gap": ("training less held-out accuracy", "linear"),
    "epochs_to_90": ("epochs to 90 % training accuracy", "log"),
    "noise_scale_end": ("gradient noise scale at the end, rows", "log"),
    "sharpness": ("sharpness at the end", "log"),
}


def value_figure(curves: Mapping[str, Sequence[Cell]], key: str, label: str) -> Figure:
    """Six measures against `key` ("lr" or "batch_size") on a log axis, a colour a curve.

    Lines join the means of a value's seeds.
    """
    figure = Figure(figsize=(10, 10.5), layout="constrained")
    panels = figure.subplots(3, 2, sharex=True).ravel()
    values = sorted({cell[key] for cells in curves.values() for cell in cells})
    # A little to the side, so that two curves do not hide each other.
    shift = (max(values) / min(values)) ** 0.008
    for axes, (measure, (title, scale)) in zip(panels, PANELS.items(), strict=True):
        axes.set_xscale("log")
        axes.set_title(title, fontsize=10)
        for place, (colour, cells) in enumerate(zip(COLOURS, curves.values(), strict=False)):
            side = shift ** (2 * place - 1) if len(curves) > 1 else 1
            draw_cells(axes, cells, key, measure, colour, side)
        for value in set(values) & set(NOTEBOOK[key]):
            axes.axvline(value, color=GREY, linestyle=":", linewidth=1.2, zorder=1)
        if measure == "held_out_accuracy":
            axes.set_ylim(0, 1)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        elif scale == "linear":
            low, high = axes.get_ylim()
            axes.set_ylim(low, high + 0.2 * (high - low))  # room at the top
        elif any(numbers(c, measure) for c in curves.values()):
            axes.set_yscale("log")
            low, high = axes.get_ylim()
            axes.set_ylim(low, high * (high / low) ** 0.2)
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3)
    for axes in panels[-2:]:
        axes.set_xlabel(f"{label} (log scale)")
    figure.legend(
        handles=legend(list(curves)), loc="outside lower center", ncols=3, fontsize=9, frameon=False
    )
    seeds = len({cell["seed"] for cells in curves.values() for cell in cells})
    figure.suptitle(f"By {label}: every value with {seeds} seeds", fontsize=12)
    return figure


def draw_cells(
    axes: Axes, cells: Sequence[Cell], key: str, measure: str, colour: str, side: float
) -> None:
    """A dot a cell and a line through the means; at the top, cells that have no number to draw."""
    means = []
    lowest = 0 if PANELS[measure][1] == "log" else -math.inf  # a log axis cannot show a 0
    for value, group in by_value(cells, key).items():
        trained = [cell for cell in group if not cell["diverged"]]
        found = [number for number in numbers(trained, measure) if number > lowest]
        axes.plot([value * side] * len(found), found, "o", color=colour, alpha=0.6, markersize=5)
        if found:
            means.append((value * side, sum(found) / len(found)))
        x = value * side
        top: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        if len(trained) < len(group):
            axes.plot(x, DIVERGED, "X", color=VERMILION, mec=colour, mew=1.2, markersize=10, **top)
        if len(found) < len(trained):
            axes.plot(x, UNDEFINED, "^", color=colour, markersize=8, fillstyle="none", **top)
    if means:
        axes.plot(*zip(*means, strict=True), color=colour, linewidth=1.2)


def legend(names: Sequence[str]) -> list[Line2D]:
    def mark(label: str, **style: Any) -> Line2D:
        return Line2D([], [], label=label, **style)

    lines = [
        mark(f"{name}: a seed, mean", color=colour, marker="o", markersize=5)
        for name, colour in zip(names, COLOURS, strict=False)
    ]
    return [
        *lines,
        mark("one seed or more diverged", color=VERMILION, marker="X", linestyle="", markersize=9),
        mark(
            "one seed or more: never, undefined, or 0",
            color=GREY,
            marker="^",
            linestyle="",
            fillstyle="none",
            markersize=8,
        ),
        mark("a value of the notebook", color=GREY, linestyle=":"),
    ]


def seed_figure(models: Mapping[str, Sequence[Cell]]) -> Figure:
    """Held-out accuracy and training loss of every seed, with mean and deviation, a row a model."""
    names = list(models)[::-1]  # matplotlib counts from the bottom
    figure = Figure(figsize=(10, 1.9 + 0.7 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, measure in ((left, "held_out_accuracy"), (right, "train_loss")):
        for place, name in enumerate(names):
            trained = [cell for cell in models[name] if not cell["diverged"]]
            found = numbers(trained, measure)
            axes.plot(found, [place] * len(found), "o", color=BLUE, alpha=0.6, markersize=6)
            average, deviation = mean_and_deviation(found)
            if average is not None:
                axes.plot([average] * 2, [place - 0.25, place + 0.25], color=BLUE, linewidth=2)
                text = f"{average:.3g}" + ("" if deviation is None else f" ± {deviation:.2g}")
                axes.text(average, place + 0.28, text, ha="center", va="bottom", fontsize=8)
            if len(trained) < len(models[name]):
                axes.plot(
                    0.97, place, "X", color=VERMILION, markersize=9,
                    transform=axes.get_yaxis_transform(),
                )  # fmt: skip
        axes.grid(alpha=0.3)
    left.set_yticks(range(len(names)), names)
    left.set_ylim(-0.5, len(names) - 0.3)
    left.set_xlim(0, 1)
    left.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    left.set_xlabel("held-out accuracy")
    right.set_xscale("log")
    right.margins(x=0.3)  # room for the text
    right.set_xlabel("training loss (log scale)")
    figure.suptitle("Every seed of a model; bar: mean ± standard deviation; cross: diverged")
    return figure
