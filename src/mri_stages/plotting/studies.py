"""The pictures of the studies: one point per run, so that seed-to-seed variation shows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter, PercentFormatter
from scipy.stats import t

from mri_stages.plotting.style import BLUE, DIVERGED_COLOUR, ORANGE, REFERENCE_COLOUR
from mri_stages.plotting.text import (
    LABEL_SIZE,
    SMALL_SIZE,
    label_names,
    measure_extra_height,
    wrap_text,
)
from mri_stages.studies.points import StudyName
from mri_stages.studies.records import LeakageRun, Run
from mri_stages.studies.summary import RunsByNumber, compute_mean_and_std, group_runs, select_finite

FIGURE_WIDTH = 7.2  # inches: a narrow screen shrinks the picture, and its letters with it
CURVE_COLOURS = (BLUE, ORANGE)
CURVE_OFFSET = 1.1  # factor on the values of a second curve, so that it does not hide the first
NOTEBOOK_VALUES = {
    StudyName.LEARNING_RATE: (1e-8, 0.01, 10),
    StudyName.BATCH_SIZE: (5, 15, 100),
}
MAX_CONNECTED_RATIO = 100  # of two neighbouring values; a line over more shows what nobody measured

# Heights in a panel (0 to 1) of the marks for runs without a number.
DIVERGED_HEIGHT = 0.95
UNDEFINED_HEIGHT = 0.88

MAX_SHOWN_SHARE = 1.2  # the marks stand above 100 %, so that none looks like an accuracy

CONFIDENCE = 0.95


class Scale(StrEnum):
    LOG = "log"
    SHARE = "share"  # linear, in per cent


@dataclass(frozen=True)
class Panel:
    """One measure of a run, against the values of a study."""

    measure: str  # a field of `Run`
    title: str
    scale: Scale


PANELS = (
    Panel("train_loss", "training loss", Scale.LOG),
    Panel("held_out_accuracy", "held-out accuracy", Scale.SHARE),
    Panel("gap", "training accuracy - held-out accuracy", Scale.SHARE),
    Panel("epochs_to_90", "epochs to 90 % training accuracy", Scale.LOG),
    Panel("noise_scale_end", "gradient noise scale at the end, rows", Scale.LOG),
    Panel("sharpness", "sharpness at the end", Scale.LOG),
)


def draw_value_figure(
    curves: Mapping[str, RunsByNumber], study: StudyName, axis_label: str, title: str
) -> Figure:
    """Return the measures against the values of a study, one colour per curve."""
    text = f"{title}, by {axis_label}: one point per run, lines through the means over seeds"
    figure_title = wrap_text(text, FIGURE_WIDTH - 0.3)
    height = 9.5 + measure_extra_height(figure_title)
    figure = Figure(figsize=(FIGURE_WIDTH, height), layout="constrained")
    figure.suptitle(figure_title, parse_math=False)

    axes_of_panels = figure.subplots(3, 2, sharex=True).ravel()
    for axes, panel in zip(axes_of_panels, PANELS, strict=True):
        draw_panel(axes, panel, curves, NOTEBOOK_VALUES[study])
        if panel.measure == "held_out_accuracy":
            axes.set_ylim(0, MAX_SHOWN_SHARE)
            axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    for axes in axes_of_panels[-2:]:
        axes.set_xlabel(wrap_text(f"{axis_label} (log scale)", 2.9, LABEL_SIZE))

    # One entry for each label of all panels; matplotlib's own labels begin with "_".
    lines: dict[str, Line2D] = {}
    for axes in axes_of_panels:
        lines |= {str(line.get_label()): line for line in axes.lines}
    handles = [line for label, line in lines.items() if not label.startswith("_")]
    names = label_names([str(line.get_label()) for line in handles], "curve", 2.9)
    figure.legend(
        handles,
        list(names.values()),
        loc="outside lower center",
        ncols=2,
        fontsize=SMALL_SIZE,
        frameon=False,
    )
    return figure


def draw_panel(
    axes: Axes, panel: Panel, curves: Mapping[str, RunsByNumber], notebook_values: Sequence[float]
) -> None:
    """Draw one measure of all curves, and the values that the notebook tried."""
    axes.set_title(panel.title, fontsize=LABEL_SIZE)
    axes.set_xscale("log")
    for position, (name, curve) in enumerate(curves.items()):
        draw_curve(axes, panel, curve, name, position)
        for value in curve.keys() & set(notebook_values):
            axes.axvline(
                value, color=REFERENCE_COLOUR, linestyle=":", label="the notebook's values"
            )

    axes.margins(y=0.22)  # room for the marks at the top
    axes.grid(alpha=0.3)
    if panel.scale is Scale.SHARE:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    elif any(has_numbers(curve, panel.measure) for curve in curves.values()):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(LogFormatter())  # labels where a decade is not full


def has_numbers(curve: RunsByNumber, measure: str) -> bool:
    return any(read_finite(runs, measure) for runs in curve.values())


def draw_curve(axes: Axes, panel: Panel, curve: RunsByNumber, name: str, position: int) -> None:
    """Draw a dot per run, a line through the means, and at the top marks for missing numbers."""
    colour = CURVE_COLOURS[position]
    means: dict[float, float] = {}
    for value, runs in curve.items():
        x = value * CURVE_OFFSET**position
        converged_runs = [run for run in runs if not run.diverged]
        numbers = read_finite(converged_runs, panel.measure)
        if panel.scale is Scale.LOG:
            numbers = [number for number in numbers if number > 0]  # a log axis cannot show a 0

        axes.plot([x] * len(numbers), numbers, "o", color=colour, alpha=0.6, markersize=5)
        if len(converged_runs) < len(runs):
            mark_diverged(axes, x, colour)
        if len(numbers) < len(converged_runs):
            mark_undefined(axes, x, colour)

        if numbers:
            if means and x > MAX_CONNECTED_RATIO * max(means):
                means[x / 2] = math.nan  # interrupts the line
            means[x] = mean(numbers)
    axes.plot(list(means), list(means.values()), color=colour, label=name)


def read_finite(runs: Sequence[Run], measure: str) -> list[float]:
    return select_finite(getattr(run, measure) for run in runs)


def mark_diverged(axes: Axes, x: float, colour: str) -> None:
    mark_at_height(
        axes,
        x,
        DIVERGED_HEIGHT,
        marker="X",
        color=DIVERGED_COLOUR,
        markeredgecolor=colour,
        markersize=10,
        label="some seeds diverged: no value",
    )


def mark_undefined(axes: Axes, x: float, colour: str) -> None:
    mark_at_height(
        axes,
        x,
        UNDEFINED_HEIGHT,
        marker="^",
        color=colour,
        fillstyle="none",
        markersize=8,
        label="some seeds: never, undefined, or 0",
    )


def mark_at_height(axes: Axes, x: float, height: float, **style: Any) -> None:
    """Draw a mark at a share of the height of the panel, where its runs have no value."""
    panel_heights = axes.get_xaxis_transform()
    axes.plot(x, height, transform=panel_heights, clip_on=False, linestyle="", **style)


def draw_leakage_dose(runs: Sequence[LeakageRun], title: str) -> Figure:
    """Return accuracy by share of test subjects that also train; bars: Student's 95 % intervals."""
    figure_title = wrap_text(f"{title}: accuracy when test subjects also train", 7.1)
    height = 4.4 + measure_extra_height(figure_title)
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    real_runs = [run for run in runs if not run.permuted]
    permuted_runs = [run for run in runs if run.permuted]
    draw_doses(axes, real_runs, BLUE, "labels as they are")
    draw_doses(axes, permuted_runs, ORANGE, "labels permuted over subjects")

    for share, group in group_runs(real_runs, lambda run: run.share).items():
        majority = mean(run.majority for run in group)
        axes.plot(share, majority, "_", color=REFERENCE_COLOUR, markersize=24)
    axes.plot([], [], "_", color=REFERENCE_COLOUR, markersize=12, label="the largest class")

    axes.set(ylim=(0, 1.02), xlabel="share of the test subjects that also have rows in training, %")
    axes.set_ylabel("accuracy on the same test rows")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    axes.set_title(figure_title, parse_math=False)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def draw_doses(axes: Axes, runs: Sequence[LeakageRun], colour: str, label: str) -> None:
    """Draw a dot per run, and for each dose the mean with its interval."""
    means = {}
    groups = group_runs(sorted(runs, key=lambda run: run.share), lambda run: run.share)
    for share, group in groups.items():
        accuracies = [run.accuracy for run in group]
        means[share] = mean(accuracies)
        axes.plot([share] * len(group), accuracies, "o", color=colour, alpha=0.4, markersize=5)
        axes.plot([share] * 2, compute_interval(accuracies), "_-", color=colour, markersize=9)
    axes.plot(list(means), list(means.values()), "s-", color=colour, label=label)


def compute_interval(shares: Sequence[float]) -> tuple[float, float]:
    """Return Student's interval of the mean, cut to 0 and 1; NaN for a single share."""
    average, deviation = compute_mean_and_std(shares)
    if average is None or deviation is None:
        return math.nan, math.nan
    n_shares = len(shares)
    quantile = t.ppf((1 + CONFIDENCE) / 2, n_shares - 1)
    half_width = quantile * deviation / n_shares**0.5
    low, high = np.clip([average - half_width, average + half_width], 0, 1)
    return float(low), float(high)
