from pathlib import Path

import numpy as np

from mri_stages.plotting.robustness import AXIS_LABELS, draw_robustness
from mri_stages.plotting.style import save_png
from mri_stages.storage.records import RobustnessRow
from tests.helpers.pictures import LONG_TITLE


def make_rows(auc: float | None) -> list[RobustnessRow]:
    rows = [RobustnessRow("unchanged", 0, None, 0.9, 0.8, 0.95, 20)]
    for change in AXIS_LABELS:
        rows.append(RobustnessRow(change, 1, "pixels", auc, None, None, 20))
    return rows


def test_draw_robustness_has_a_panel_for_each_change() -> None:
    figure = draw_robustness({"a": make_rows(0.7), "b": make_rows(None)}, "Title")
    assert [axes.get_xlabel() for axes in figure.axes] == list(AXIS_LABELS.values())
    for axes in figure.axes:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["none", "1"]
        assert np.asarray(axes.lines[0].get_ydata()).tolist() == [0.9, 0.7]


def test_draw_robustness_begins_with_unchanged_images() -> None:
    axes = draw_robustness({"a": make_rows(0.7)}, "Title").axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["none", "1"]
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == [0, 1]
    assert np.asarray(axes.lines[0].get_ydata()).tolist() == [0.9, 0.7]
    interval, _ = axes.collections[0].get_paths()
    assert np.asarray(interval.vertices).tolist() == [[0, 0.8], [0, 0.95]]


def test_draw_robustness_shows_models_beside_each_other() -> None:
    rows_by_model = {name: make_rows(0.7) for name in "abc"}
    axes = draw_robustness(rows_by_model, "Title").axes[0]
    left, middle, right = (float(np.asarray(line.get_xdata())[0]) for line in axes.lines[:3])
    assert -0.5 < left < middle == 0 < right < 0.5


def test_draw_robustness_takes_many_models_with_any_name(tmp_path: Path) -> None:
    rows = {f"${number}_a_very_long_name_of_a_model": make_rows(0.6) for number in range(30)}
    save_png(tmp_path / "a.png", draw_robustness(rows, LONG_TITLE))
    assert (tmp_path / "a.png").stat().st_size > 0


def test_draw_robustness_of_no_model_is_a_sentence() -> None:
    assert not draw_robustness({}, "Title").axes
