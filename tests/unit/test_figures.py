"""The pictures say what the numbers say."""

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from src.png import save_png
from src.result_figures import accuracy_figure, history_figure, learning_rate_figure
from src.slice_figure import slice_figure

METRICS = {
    "good": {"accuracy": 0.7, "low": 0.6, "high": 0.8, "diverged": False},
    "hot": {"accuracy": 0.1, "low": 0.05, "high": 0.2, "diverged": True},
}

BASELINES = {
    "majority": {"accuracy": 0.5, "low": 0.4, "high": 0.6},
    "nearest_neighbour": {"accuracy": 0.75, "low": 0.7, "high": 0.8},
    "nearest_neighbour_subject": {},  # no subject ids
}


def texts(figure: Figure) -> str:
    return " ".join(
        text.get_text()
        for axes in figure.axes
        for text in [*axes.texts, axes.title, axes.xaxis.label, *axes.get_yticklabels()]
    )


def test_accuracy_names_models_baselines_intervals_and_divergence() -> None:
    figure = accuracy_figure(METRICS, BASELINES, 1279, "Wilson")
    shown = texts(figure)
    for fragment in ("good", "70.0%", "10.0% diverged", "75.0%", "50.0%", "1279", "Wilson"):
        assert fragment in shown
    assert len(figure.axes[0].get_yticklabels()) == 4  # the empty baseline has no row
    bars = [line.get_xdata() for line in figure.axes[0].lines]
    assert any(np.array_equal(bar, [0.6, 0.8]) for bar in bars)


def test_history_marks_divergence_and_is_not_flattened_by_a_hopeless_loss() -> None:
    def rows(*losses: float) -> list[dict[str, str]]:
        return [
            {"epoch": str(i), "train_loss": str(loss), "train_accuracy": "0.5"}
            for i, loss in enumerate(losses)
        ]

    figure = history_figure({"good": rows(1.2, 0.3), "hot": rows(1e29, math.nan)})
    loss, accuracy = figure.axes
    assert loss.get_ylim()[1] < 1e5
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["good", "hot, diverged"]
    for axes in (loss, accuracy):
        assert [line.get_xdata() for line in axes.lines if line.get_marker() == "X"] == [[1]]


def test_learning_rate_marks_divergence_and_survives_a_lack_of_groups() -> None:
    losses = {"good": 0.2, "hot": float("nan")}
    figure = learning_rate_figure(
        [["good", "hot"]], {"good": 0.01, "hot": 10.0}, METRICS, losses, "Wilson"
    )
    assert texts(figure).count("hot\ndiverged") == 2
    assert figure.axes[0].get_xscale() == "log"
    empty = learning_rate_figure([], {}, METRICS, losses, "Wilson")
    assert "no two models differ only in lr" in texts(empty)


@pytest.mark.parametrize(("n_rows", "row"), [(30, 29), (600, 500)])
def test_slice_figure_shows_row_500_or_the_last_and_one_of_each_class(
    n_rows: int, row: int
) -> None:
    images = np.arange(n_rows * 24, dtype=np.float32).reshape(n_rows, 2, 3, 4)
    y = np.arange(n_rows) % 2
    figure = slice_figure(images, y, ["ill", "sane"])
    shown = [axes.images[0].get_array() for axes in figure.axes]
    for picture, expected in zip(shown, [row, 0, 1], strict=True):
        np.testing.assert_array_equal(picture, images[expected, 0])
    assert figure.axes[0].images[0].get_cmap().name == "cividis"
    assert f"row {row}" in figure.axes[0].get_title()


def test_the_same_figure_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_png(tmp_path / name, accuracy_figure(METRICS, BASELINES, 1279, "Wilson"))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
