import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mri_stages.plotting.results import (
    history_figure,
    interval_figure,
    learning_rate_figure,
    roc_figure,
)
from mri_stages.plotting.style import save_png
from mri_stages.storage.history import Epoch
from mri_stages.storage.records import RocPoint

METRICS = {
    "good": SimpleNamespace(
        accuracy=0.7, ci_low=0.6, ci_high=0.9, auc=0.8, auc_low=0.7, auc_high=0.95, diverged=False
    ),
    "hot": SimpleNamespace(
        accuracy=0.1, ci_low=0.05, ci_high=0.2, auc=None, auc_low=None, auc_high=None, diverged=True
    ),
    "majority": SimpleNamespace(
        accuracy=0.5, ci_low=0.4, ci_high=0.6, auc=0.5, auc_low=0.5, auc_high=0.5, diverged=None
    ),
}


def points(axes: Any) -> list[tuple[float, ...]]:
    return [(*line.get_xdata(), *line.get_ydata()) for line in axes.lines]


def test_interval_figure_shows_each_interval_the_given_split_and_divergence() -> None:
    given = {"good": SimpleNamespace(accuracy=0.95, auc=None), "other": METRICS["good"]}
    columns = ["accuracy", "auc"]
    figure: Any = interval_figure(METRICS, columns, "Digits: new", "by row", given)
    left, right = figure.axes
    expected = [["0.700 (0.950)", "0.100 diverged", "0.500"], ["0.800", "- diverged", "0.500"]]
    assert [[text.get_text() for text in axes.texts] for axes in (left, right)] == expected
    assert [text.get_text() for text in left.get_yticklabels()] == [*METRICS]
    assert (figure.get_suptitle(), "by row" in figure.get_supxlabel()) == ("Digits: new", True)
    # Intervals and values at their places, then the constant answer over the whole height.
    good, majority = [(0.7, 0.95, 0, 0), (0.8, 0)], [(0.5, 0.5, 2, 2), (0.5, 2)]
    assert points(right) == [*good, *majority, (0.5, 0.5, 0, 1)]
    assert (0.95, 0.25) in points(left)  # below the interval of the same model


def test_roc_figure_draws_each_class_and_names_divergence() -> None:
    curve = [RocPoint(name, *xy) for name in "ab" for xy in ((0.0, 0.0), (0.2, 0.7), (1.0, 1.0))]
    curves = {"good": curve, "hot": [], "majority": []}
    figure: Any = roc_figure(curves, METRICS, "Digits: ROC")
    good, hot, alone = figure.axes
    assert [list(line.get_ydata()) for line in good.lines[1:]] == [[0.0, 0.7, 1.0]] * 2
    assert (good.get_title(), hot.get_title()) == ("good", "hot: diverged")
    assert "diverged" not in alone.get_title()  # its test rows are of one class
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_history_figure_marks_divergence_above_the_losses() -> None:
    kept = [Epoch(0, 1, 1, 0.5, 1, 0.5), Epoch(1, math.nan, 1, 0.4)]
    (legend,) = history_figure({"good": kept}, METRICS, "").legends
    assert not any("diverged" in text.get_text() for text in legend.get_texts())
    good = [Epoch(0, 1.2, 1, 0.5, 1.1, 0.4), Epoch(1, 0.3, 1, 0.6, 0.9, 0.7)]
    hot = [Epoch(0, 1e29, 1, 0.5), Epoch(1, math.nan, 1, 0.4)]
    figure: Any = history_figure({"good": good, "hot": hot}, METRICS, "Digits")
    loss, accuracy = figure.axes
    assert 1.2 < loss.get_ylim()[1] < 1e5  # the loss of 1e29 does not flatten the others
    (legend,) = figure.legends
    labels = ["good", "good, validation", "hot, diverged"]
    assert [text.get_text() for text in legend.get_texts()] == labels
    lines = (*loss.lines, *accuracy.lines)
    dashed = [[*line.get_ydata()] for line in lines if line.get_linestyle() == "--"]
    assert dashed == [[1.1, 0.9], [0.4, 0.7]]
    above, inside = (line for line in lines if line.get_marker() == "X")
    assert (above.get_xdata(), above.get_ydata()[0] > 1) == ([2], True)  # in heights of the panel
    assert (inside.get_xdata(), inside.get_ydata()) == ([2], [0.4])


def test_learning_rate_figure_shows_separate_points_and_none_for_a_loss_of_nan() -> None:
    histories = {
        "good": [Epoch(0, 3.0, 1, 0.5), Epoch(1, 0.2, 1, 0.5)],
        "hot": [Epoch(0, math.nan, 1, 0.5)],
    }
    groups = [{"good": 1e-8, "hot": 10.0}]
    figure: Any = learning_rate_figure(groups, METRICS, histories, "Digits")
    top, bottom = figure.axes
    accuracies = [(1e-8, 1e-8, 0.6, 0.9), (1e-8, 0.7), (10, 10, 0.05, 0.2), (10, 0.1)]
    lines = points(top) + points(bottom)
    assert [line for line in lines if np.isfinite(line).all()] == [*accuracies, (1e-8, 0.2)]
    assert "hot (lr 10)" in bottom.get_title()
    assert [text.get_text() for text in top.texts] == ["good", "hot\ndiverged"]
    assert not learning_rate_figure([], METRICS, {}, "Digits").axes


@pytest.mark.parametrize("losses", [[math.nan], [0.5, 0.0], [math.inf, 1.0]])
def test_save_png_of_extreme_losses_repeats(tmp_path: Path, losses: list[float]) -> None:
    histories = {"hot": [Epoch(epoch, loss, 1, 0.5) for epoch, loss in enumerate(losses)]}
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        save_png(path, history_figure(histories, METRICS, "Digits"))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
