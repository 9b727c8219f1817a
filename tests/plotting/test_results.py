import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from src.plotting.results import accuracy_figure, history_figure, learning_rate_figure
from src.plotting.style import save_png
from src.storage.dataset import Epoch

METRICS = {
    "good": SimpleNamespace(accuracy=0.7, ci_low=0.6, ci_high=0.9, diverged=False),
    "hot": SimpleNamespace(accuracy=0.1, ci_low=0.05, ci_high=0.2, diverged=True),
}
BASELINES = {"majority": SimpleNamespace(accuracy=0.5, ci_low=0.4, ci_high=0.6, diverged=None)}


def test_accuracy_figure_shows_each_interval_and_names_divergence() -> None:
    axes: Any
    (axes,) = accuracy_figure(METRICS, BASELINES, 1279, "Wilson").axes
    assert [text.get_text() for text in axes.texts] == ["70.0%", "10.0% diverged", "50.0%"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["good", "hot", "majority"]
    assert all(part in axes.get_xlabel() for part in ("1279", "Wilson"))
    lines = [(*line.get_xdata(), *line.get_ydata()) for line in axes.lines]
    for place, row in enumerate([*METRICS.values(), *BASELINES.values()]):
        assert (row.ci_low, row.ci_high, place, place) in lines
        assert (row.accuracy, place) in lines
    assert (0.5, 0.5, 0, 1) in lines  # at the majority class, over the whole height


def test_history_figure_marks_divergence_above_the_losses() -> None:
    good = [Epoch(0, 1.2, 1, 0.5), Epoch(1, 0.3, 1, 0.6)]
    hot = [Epoch(0, 1e29, 1, 0.5), Epoch(1, math.nan, 1, 0.4)]
    figure: Any = history_figure({"good": good, "hot": hot})
    loss, accuracy = figure.axes
    assert 1.2 < loss.get_ylim()[1] < 1e5  # the loss of 1e29 does not flatten the others
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["good", "hot, diverged"]
    above, inside = (line for line in (*loss.lines, *accuracy.lines) if line.get_marker() == "X")
    assert (above.get_xdata(), above.get_ydata()[0] > 1) == ([1], True)  # in heights of the panel
    assert (inside.get_xdata(), inside.get_ydata()) == ([1], [0.4])


def test_learning_rate_figure_shows_separate_points_and_none_for_a_loss_of_nan() -> None:
    histories = {
        "good": [Epoch(0, 3.0, 1, 0.5), Epoch(1, 0.2, 1, 0.5)],
        "hot": [Epoch(0, math.nan, 1, 0.5)],
    }
    figure: Any = learning_rate_figure([{"good": 1e-8, "hot": 10.0}], METRICS, histories, "Wilson")
    top, bottom = figure.axes
    lines = [(*line.get_xdata(), *line.get_ydata()) for line in (*top.lines, *bottom.lines)]
    accuracies = [(1e-8, 1e-8, 0.6, 0.9), (1e-8, 0.7), (10, 10, 0.05, 0.2), (10, 0.1)]
    assert [line for line in lines if np.isfinite(line).all()] == [*accuracies, (1e-8, 0.2)]
    assert "hot (lr 10)" in bottom.get_title()
    assert [text.get_text() for text in top.texts] == ["good", "hot\ndiverged"]
    without_groups = learning_rate_figure([], METRICS, {}, "Wilson")
    assert (without_groups.get_figheight() < 1.5, len(without_groups.texts)) == (True, 1)


@pytest.mark.parametrize("losses", [[math.nan], [0.5, 0.0], [math.inf, 1.0]])
def test_save_png_of_extreme_losses_repeats(tmp_path: Path, losses: list[float]) -> None:
    histories = {"hot": [Epoch(epoch, loss, 1, 0.5) for epoch, loss in enumerate(losses)]}
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        save_png(path, history_figure(histories))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
