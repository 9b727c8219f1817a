"""The picture of leakage: how similar the test rows are to the training rows."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mri_stages.plotting.style import BLUE, ORANGE, VERMILION
from mri_stages.plotting.text import measure_extra_height, wrap_text

N_BINS = 40

# Inches.
WIDTH = 8
HEIGHT = 3.6


def draw_leakage(
    closeness: NDArray[np.float64],
    same_mask: NDArray[np.bool_] | None,
    title: str,
    n_copies: int = 0,
) -> Figure:
    """Return the histogram of `closeness` (n,) of the test rows; values of NaN are left out.

    same_mask: (n,), whether the nearest training row is of the same subject, shown as two colours.
    n_copies: the test rows that are equal to a training row, at distance 0.
    """
    text = f"{title}: how similar is each test row to a training row?"
    figure_title = wrap_text(text, WIDTH - 0.9)
    height = HEIGHT + measure_extra_height(figure_title)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    finite_mask = np.isfinite(closeness)
    right_edge = closeness[finite_mask].max(initial=1.0)
    bins = np.linspace(0, right_edge, N_BINS + 1).tolist()
    if same_mask is None:
        axes.hist(closeness[finite_mask], bins, color=BLUE, label="test rows")
    else:
        _draw_by_subject(axes, closeness, finite_mask, same_mask, bins)

    axes.set_title(figure_title, parse_math=False)
    axes.set_xlabel("distance to the nearest training row / median distance to the other test rows")
    if n_copies:
        axes.axvline(0, color=VERMILION, linewidth=4, label=f"exact copies (at 0): {n_copies:,}")
    axes.set(ylabel="test rows", xlim=(0, 1.02 * right_edge))
    axes.margins(y=0.35)  # room for the legend
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=9)
    return figure


def _draw_by_subject(
    axes: Axes,
    closeness: NDArray[np.float64],
    finite_mask: NDArray[np.bool_],
    same_mask: NDArray[np.bool_],
    bins: list[float],
) -> None:
    """Draw stacked bars: rows near a row of their own subject, and the others."""
    axes.hist(
        [closeness[finite_mask & same_mask], closeness[finite_mask & ~same_mask]],
        bins,
        stacked=True,
        color=[ORANGE, BLUE],
        label=[
            "nearest training row is of the same subject",
            "nearest training row is of another subject",
        ],
    )
