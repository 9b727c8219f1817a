from typing import Any

import numpy as np

from mri_stages.plotting.leakage import leakage_figure


def test_leakage_figure_counts_rows_with_and_without_ids() -> None:
    closeness, same = np.array([0.1, 0.1, 0.9, np.nan]), np.array([True, False, False, True])
    axes: Any
    (axes,) = leakage_figure(closeness, same, "Digits").axes
    assert [sum(bar.get_height() for bar in bars) for bars in axes.containers] == [1, 2]
    (axes,) = leakage_figure(closeness, None, "Digits").axes
    assert sum(bar.get_height() for bar in axes.patches) == 3
    assert "Digits" in axes.get_title()
