from typing import Any

import numpy as np

from mri_stages.plotting.leakage import draw_leakage
from tests.helpers.pictures import LONG_TITLE, list_layout_faults

CLOSENESS = np.array([0.1, 0.1, 0.9, np.nan])


def test_leakage_without_ids_counts_rows() -> None:
    axes: Any = draw_leakage(CLOSENESS, None, "Digits").axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 3


def test_leakage_with_ids_counts_rows_near_their_own_subject() -> None:
    same_mask = np.array([True, False, False, True])
    axes: Any = draw_leakage(CLOSENESS, same_mask, "Digits").axes[0]
    counts = {
        text.get_text().split()[-2]: sum(bar.get_height() for bar in bars)
        for text, bars in zip(axes.get_legend().get_texts(), axes.containers, strict=True)
    }
    assert counts == {"same": 1, "another": 2}


def test_leakage_shows_distances_beyond_one() -> None:
    axes: Any = draw_leakage(np.array([0.2, 3.0]), None, "Digits").axes[0]
    assert axes.get_xlim()[1] > 3
    assert sum(bar.get_height() for bar in axes.patches) == 2


def test_leakage_shows_at_least_the_range_to_one() -> None:
    axes: Any = draw_leakage(np.array([0.2]), None, "Digits").axes[0]
    assert 1 < axes.get_xlim()[1] < 1.1


def test_leakage_names_the_data() -> None:
    assert "Digits" in draw_leakage(CLOSENESS, None, "Digits").axes[0].get_title()


def test_leakage_marks_copies() -> None:
    axes: Any = draw_leakage(CLOSENESS, None, "Digits", n_copies=3).axes[0]
    assert any("3" in text.get_text() for text in axes.get_legend().get_texts())
    assert axes.lines[0].get_xdata()[0] == 0


def test_leakage_with_a_long_title_fits() -> None:
    assert list_layout_faults(draw_leakage(CLOSENESS, None, LONG_TITLE)) == []
