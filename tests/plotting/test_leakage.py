from typing import Any

import numpy as np

from src.plotting.leakage import leakage_figure


def test_leakage_figure_counts_rows_and_without_ids_shows_the_threshold() -> None:
    closeness, same = np.array([0.1, 0.1, 0.9, np.nan]), np.array([True, False, False, True])
    axes: Any
    (axes,) = leakage_figure(closeness, same, 0.4).axes
    assert [sum(bar.get_height() for bar in bars) for bars in axes.containers] == [1, 2]
    (axes,) = leakage_figure(closeness, None, 0.4).axes
    assert sum(bar.get_height() for bar in axes.patches) == 3
    assert axes.lines[0].get_xdata() == [0.4, 0.4]
