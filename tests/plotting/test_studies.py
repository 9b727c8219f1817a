from math import inf, nan

import numpy as np
import pytest
from matplotlib.axes import Axes
from tests.helpers.study_runs import by_rate, made_up

from mri_stages.plotting.studies import PANELS, leakage_figure, value_figure
from mri_stages.studies.leakage_dose import LeakageRun


def drawn(axes: Axes, **style: str) -> list[list[float]]:
    """Return the x of every line of that style that has points."""
    lines = [
        [float(x) for x in np.atleast_1d(line.get_xdata())]
        for line in axes.lines
        if all(getattr(line, f"get_{key}")() == value for key, value in style.items())
    ]
    return [x for x in lines if x]


def test_value_figure_draws_every_run_and_marks_divergence() -> None:
    runs = by_rate(diverged=lambda lr, _: lr == 1.0, train_loss=lambda lr, s: (1 + s) / lr)
    figure = value_figure({"net": runs}, "lr", "learning rate", "Digits")
    loss = figure.axes[0]
    assert [len(x) for x in drawn(loss, marker="o")] == [5, 5, 5]
    assert drawn(loss, marker="X") == [[1.0]]
    (means,) = (line for line in loss.lines if line.get_label() == "net")
    np.testing.assert_allclose(np.asarray(means.get_ydata()), [3000, 300, 30])
    assert drawn(loss, linestyle=":") == [[0.01, 0.01]]  # a rate of the notebook
    assert len([text for legend in figure.legends for text in legend.get_texts()]) == 3


def test_value_figure_marks_sizes_of_the_notebook_and_sets_two_curves_apart() -> None:
    runs = [made_up(batch_size=size) for size in (1, 5, 15, 100, 960)]
    panel = value_figure({"a": runs, "b": runs}, "batch_size", "batch size", "Digits").axes[0]
    assert {x[0] for x in drawn(panel, linestyle=":")} == {5, 15, 100}
    assert len({x[0] for x in drawn(panel, marker="o")}) == 10
    far = [made_up(lr=lr) for lr in (1e-8, 1e-4, 0.001)]  # no line joins the first two
    loss = value_figure({"a": far}, "lr", "learning rate", "Digits").axes[0]
    (means,) = (line for line in loss.lines if line.get_label() == "a")
    assert np.isnan(np.asarray(means.get_ydata())).tolist() == [False, True, False, False]


def test_value_figure_marks_runs_without_a_number_at_the_top() -> None:
    runs = by_rate(
        epochs_to_90=lambda lr, _: inf if lr < 0.1 else 3,
        noise_scale_end=lambda *_: nan,
        sharpness=lambda lr, seed: 0.0 if (lr, seed) == (0.1, 3) else 5.0,
    )
    axes = value_figure({"net": runs}, "lr", "learning rate", "Digits").axes
    panels = dict(zip(PANELS, axes, strict=True))
    found = {measure: drawn(panels[measure], marker="^") for measure in PANELS}
    assert found["epochs_to_90"] == [[0.001], [0.01]]
    assert found["noise_scale_end"] == [[0.001], [0.01], [0.1], [1.0]]
    assert (found["sharpness"], found["gap"]) == ([[0.1]], [])
    assert [len(x) for x in drawn(panels["sharpness"], marker="o")] == [5, 5, 4, 5]


def test_leakage_figure_draws_an_interval_of_the_mean_within_0_and_1() -> None:
    scores = {0: (0.0, 0.1, 0.2), 50: (0.3, 0.4, 0.5), 100: (0.8, 0.9, 1.0)}
    runs = [
        LeakageRun("net", 0, share, False, 80, 20, accuracy, 0, 1, accuracy, majority=0.5)
        for share, accuracies in scores.items()
        for accuracy in accuracies
    ]
    (axes,) = leakage_figure([*runs, runs[0]._replace(permuted=True)], "Digits").axes
    lines = [line for line in axes.lines if (line.get_marker(), line.get_linestyle()) == ("_", "-")]
    half = 4.303 * 0.1 / 3**0.5  # Student's t of two degrees of freedom
    expected = [(0, 0.1 + half), (0.4 - half, 0.4 + half), (0.9 - half, 1)]
    for line, interval in zip(lines, [*expected, (nan, nan)], strict=True):  # one seed has none
        assert np.asarray(line.get_ydata()) == pytest.approx(interval, abs=1e-3, nan_ok=True)
