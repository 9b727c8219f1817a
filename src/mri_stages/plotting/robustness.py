"""The picture of robustness: the AUC on new subjects whose images are changed."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mri_stages.plotting.results import LINE_STYLES, MAX_NAME_WIDTH
from mri_stages.plotting.style import REFERENCE_COLOUR, draw_sentence
from mri_stages.plotting.text import (
    LABEL_SIZE,
    SMALL_SIZE,
    label_names,
    measure_extra_height,
    wrap_text,
)
from mri_stages.storage.records import RobustnessRow

NO_PROBE = "No network has an AUC on new subjects, so none is probed on changed images"
UNCHANGED = "unchanged"  # the change of the first row of a model
AXIS_LABELS = {
    "shift": "shift in pixels",
    "noise": "deviation of noise",
    "contrast": "factor of contrast",
    "brightness": "added brightness",
}
N_COLUMNS = 2
MAX_SPREAD = 0.5  # of the models beside each other, where two strengths are 1 apart

# Inches.
WIDTH = 6.8
PANEL_HEIGHT = 2.5

RowsByModel = Mapping[str, Sequence[RobustnessRow]]


def draw_robustness(rows_by_model: RowsByModel, title: str) -> Figure:
    """Return a panel per kind of change: the AUC of each model by strength, with intervals.

    The first point of a panel is that of unchanged images.
    """
    if not rows_by_model:
        return draw_sentence(NO_PROBE)

    figure_title = wrap_text(title, WIDTH - 0.3)
    n_panel_rows = math.ceil(len(AXIS_LABELS) / N_COLUMNS)
    n_legend_rows = math.ceil(len(rows_by_model) / N_COLUMNS)
    height = n_panel_rows * PANEL_HEIGHT + 0.5 + 0.2 * n_legend_rows
    height += measure_extra_height(figure_title)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(figure_title, parse_math=False)
    panels = figure.subplots(n_panel_rows, N_COLUMNS, sharey=True).ravel()
    for axes, (change, label) in zip(panels, AXIS_LABELS.items(), strict=True):
        _draw_change(axes, rows_by_model, change)
        axes.set_xlabel(label, fontsize=LABEL_SIZE)
    for axes in panels[::N_COLUMNS]:
        axes.set_ylabel("AUC", fontsize=LABEL_SIZE)

    handles, labels = panels[0].get_legend_handles_labels()
    options: dict[str, Any] = {"loc": "outside lower center", "ncols": N_COLUMNS}
    legend = figure.legend(handles, labels, fontsize=SMALL_SIZE, **options)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw_change(axes: Axes, rows_by_model: RowsByModel, change: str) -> None:
    """Draw the points of all models under one kind of change, beside each other."""
    names = label_names(list(rows_by_model), "model", MAX_NAME_WIDTH)
    n_models = len(rows_by_model)
    ticks: list[str] = []
    styled_models = zip(rows_by_model.items(), cycle(LINE_STYLES), strict=False)
    for number, ((name, rows), (line_style, colour)) in enumerate(styled_models):
        shown_rows = [row for row in rows if row.change in (UNCHANGED, change)]
        ticks = ["none" if row.change == UNCHANGED else f"{row.strength:g}" for row in shown_rows]
        offset = 0.0
        if n_models > 1:
            offset = MAX_SPREAD * (number / (n_models - 1) - 0.5) * min(1, n_models / 6)
        places = [place + offset for place in range(len(shown_rows))]
        axes.plot(
            places,
            [as_number(row.auc) for row in shown_rows],
            color=colour,
            linestyle=line_style,
            marker="o",
            markersize=4,
            label=names[name],
        )
        lows = [as_number(row.low) for row in shown_rows]
        highs = [as_number(row.high) for row in shown_rows]
        axes.vlines(places, lows, highs, color=colour, linewidth=1)

    axes.axhline(0.5, color=REFERENCE_COLOUR, linestyle=":", linewidth=1)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.grid(axis="y", alpha=0.3)


def as_number(value: float | None) -> float:
    """Return a figure, or NaN, which is not drawn, where there is none."""
    return math.nan if value is None else value
