"""The pictures of the studies: one point per run, so that seed-to-seed variation shows."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import mean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, PercentFormatter
from scipy.stats import t

from mri_stages.studies.leakage_dose import LeakageRun
from mri_stages.studies.measure import Run, by_value, mean_and_deviation, numbers

COLOURS = ("tab:blue", "tab:orange")  # one per curve
CROSS, GREY = "tab:red", "dimgray"
NOTEBOOK = {"lr": (1e-8, 0.01, 10), "batch_size": (5, 15, 100)}  # of its models
FAR = 100  # between two values: a line over the gap would say what nobody measured
DIVERGED, UNDEFINED = 0.95, 0.88  # of a panel's height: where runs without a number are marked
PANELS = {  # measure: title, scale
    "train_loss": ("training loss", "log"),
    "held_out_accuracy": ("held-out accuracy", "linear"),
    "gap": ("training accuracy - held-out accuracy", "linear"),
    "epochs_to_90": ("epochs to 90 % training accuracy", "log"),
    "noise_scale_end": ("gradient noise scale at the end, rows", "log"),
    "sharpness": ("sharpness at the end", "log"),
}


def value_figure(curves: Mapping[str, Sequence[Run]], key: str, label: str, title: str) -> Figure:
    """Return six measures against `key` ("lr" or "batch_size"), one colour per curve."""
    figure = Figure(figsize=(10, 10.5), layout="constrained")
    text = f"{title}, by {label}: one point per run, lines through the means over seeds"
    figure.suptitle(text, parse_math=False)
    panels = figure.subplots(3, 2, sharex=True).ravel()
    for axes, (measure, (title, scale)) in zip(panels, PANELS.items(), strict=True):
        axes.set(title=title, xscale="log")
        for place, (name, runs) in enumerate(curves.items()):
            groups = by_value(runs, key)
            draw_curve(axes, groups, measure, name, place)
            for value in groups.keys() & set(NOTEBOOK[key]):
                axes.axvline(value, color=GREY, linestyle=":", label="the notebook's values")
        axes.margins(y=0.22)  # room for the marks at the top
        axes.grid(alpha=0.3)
        if scale == "linear":
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        elif any(numbers(runs, measure) for runs in curves.values()):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(LogFormatter())  # labels where a decade is not full
    panels[1].set_ylim(0, 1)
    for axes in panels[-2:]:
        axes.set_xlabel(f"{label} (log scale)")
    marks = {str(mark.get_label()): mark for axes in panels for mark in axes.lines}
    named = [mark for name, mark in marks.items() if not name.startswith("_")]
    figure.legend(handles=named, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def draw_curve(
    axes: Axes, groups: Mapping[float, Sequence[Run]], measure: str, name: str, place: int
) -> None:
    """Draw one dot per run and a line through the means; at the top, mark runs without a number."""
    colour = COLOURS[place]
    lowest = 0 if PANELS[measure][1] == "log" else -math.inf  # a log axis cannot show a 0
    mark = partial(axes.plot, transform=axes.get_xaxis_transform(), clip_on=False, linestyle="")
    means: dict[float, float] = {}
    for value, group in groups.items():
        x = value * 1.1**place  # a little to the side, so that two curves do not hide each other
        trained = [run for run in group if not run.diverged]
        found = [number for number in numbers(trained, measure) if number > lowest]
        axes.plot([x] * len(found), found, "o", color=colour, alpha=0.6, markersize=5)
        if found:
            if means and x > FAR * max(means):
                means[x / 2] = math.nan
            means[x] = mean(found)
        if len(trained) < len(group):
            label = "one seed or more diverged"
            mark(x, DIVERGED, marker="X", color=CROSS, mec=colour, markersize=10, label=label)
        if len(found) < len(trained):
            label = "one seed or more: never, undefined, or 0"
            mark(x, UNDEFINED, marker="^", color=colour, fillstyle="none", ms=8, label=label)
    axes.plot(list(means), list(means.values()), color=colour, label=name)


def leakage_figure(runs: Sequence[LeakageRun], title: str) -> Figure:
    """Return accuracy by share of test subjects that also train; bars: Student's 95 % intervals."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for permuted, label in enumerate(("labels as they are", "labels permuted over subjects")):
        colour, means = COLOURS[permuted], {}
        for share, group in by_value((r for r in runs if r.permuted == permuted), "share").items():
            found = numbers(group, "accuracy")
            axes.plot([share] * len(found), found, "o", color=colour, alpha=0.4, markersize=5)
            means[share], (_, deviation) = mean(found), mean_and_deviation(found)
            half = t.ppf(0.975, len(found) - 1) * (deviation or 0) / len(found) ** 0.5
            ends = np.clip([means[share] - half, means[share] + half], 0, 1)
            axes.plot([share] * 2, ends, "_-", color=colour, markersize=9)
            if not permuted:
                axes.plot(share, mean(numbers(group, "majority")), "_", color=GREY, markersize=24)
        axes.plot(list(means), list(means.values()), "s-", color=colour, label=label)
    axes.plot([], [], "_", color=GREY, markersize=12, label="the largest class")
    axes.set(ylim=(0, 1.02), xlabel="share of the test subjects that also have rows in training, %")
    axes.set_ylabel("accuracy on the same test rows")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=9)
    axes.set_title(f"{title}: accuracy when test subjects also train", parse_math=False)
    return figure
