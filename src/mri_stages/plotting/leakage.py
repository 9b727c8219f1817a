"""The picture of leakage: how similar the test rows are to the training rows."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mri_stages.plotting.style import BLUE, ORANGE


def leakage_figure(
    closeness: NDArray[np.float64], same: NDArray[np.bool_] | None, title: str
) -> Figure:
    """Return the histogram of `closeness` (n,) of the test rows; values of NaN are left out.

    same: (n,), whether the nearest training row is of the same subject, shown as two colours.
    """
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    known = np.isfinite(closeness)
    top = closeness[known].max(initial=1.0)
    bins = np.linspace(0, top, 41).tolist()
    if same is None:
        axes.hist(closeness[known], bins, color=BLUE, label="test rows")
    else:
        groups = [closeness[known & same], closeness[known & ~same]]
        label = [f"nearest training row is of {whose} subject" for whose in ("the same", "another")]
        axes.hist(groups, bins, stacked=True, color=[ORANGE, BLUE], label=label)
    axes.set_title(f"{title}: how similar is each test row to a training row?", parse_math=False)
    axes.set_xlabel("distance to the nearest training row / median distance to the other test rows")
    axes.set(ylabel="test rows", xlim=(0, 1.02 * top))
    axes.margins(y=0.35)  # room for the legend
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=9)
    return figure
