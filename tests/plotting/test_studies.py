from collections.abc import Mapping, Sequence
from math import inf, nan

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mri_stages.plotting.studies import (
    PANELS,
    UNDEFINED_HEIGHT,
    compute_interval,
    draw_leakage_dose,
    draw_value_figure,
)
from mri_stages.studies.points import StudyName
from mri_stages.studies.records import LeakageRun, Run
from mri_stages.studies.summary import group_by_rate, group_by_size
from tests.helpers.pictures import LONG_NAMES, LONG_TITLE, list_layout_faults, shows_shares
from tests.helpers.study_runs import make_rate_runs, make_run


def draw_rates(runs: Sequence[Run]) -> Figure:
    curves = {"net": group_by_rate(runs)}
    return draw_value_figure(curves, StudyName.LEARNING_RATE, "learning rate", "Digits")


def draw_sizes(curves: Mapping[str, Sequence[Run]]) -> Figure:
    curves_by_size = {name: group_by_size(runs) for name, runs in curves.items()}
    return draw_value_figure(curves_by_size, StudyName.BATCH_SIZE, "batch size", "Digits")


def find_panel(figure: Figure, measure: str) -> Axes:
    measures = [panel.measure for panel in PANELS]
    return figure.axes[measures.index(measure)]


def list_xs(axes: Axes, **style: str) -> list[list[float]]:
    """Return the x of every line of that style that has points."""
    lines = []
    for line in axes.lines:
        if all(getattr(line, f"get_{key}")() == value for key, value in style.items()):
            lines.append([float(x) for x in np.atleast_1d(line.get_xdata())])
    return [xs for xs in lines if xs]


def find_line(axes: Axes, label: str) -> Line2D:
    (line,) = (line for line in axes.lines if line.get_label() == label)
    return line


DIVERGED_RUNS = make_rate_runs(
    diverged=lambda lr, _: lr == 1.0, train_loss=lambda lr, seed: (1 + seed) / lr
)


def test_value_figure_draws_a_dot_per_run() -> None:
    loss = find_panel(draw_rates(DIVERGED_RUNS), "train_loss")
    assert list_xs(loss, marker="o") == [[0.001] * 5, [0.01] * 5, [0.1] * 5]


def test_value_figure_marks_divergence() -> None:
    loss = find_panel(draw_rates(DIVERGED_RUNS), "train_loss")
    assert list_xs(loss, marker="X") == [[1.0]]


def test_value_figure_marks_divergence_of_one_seed() -> None:
    runs = [make_run(lr=0.01), make_run(lr=0.1), make_run(lr=0.1, diverged=True)]
    loss = find_panel(draw_rates(runs), "train_loss")
    assert list_xs(loss, marker="X") == [[0.1]]
    assert list_xs(loss, marker="^") == []


def test_value_figure_joins_the_means() -> None:
    loss = find_panel(draw_rates(DIVERGED_RUNS), "train_loss")
    np.testing.assert_allclose(np.asarray(find_line(loss, "net").get_ydata()), [3000, 300, 30])


def test_value_figure_has_the_panels_scales() -> None:
    figure = draw_rates(make_rate_runs())
    scales = [axes.get_yscale() for axes in figure.axes]
    assert scales == ["log", "linear", "linear", "log", "log", "log"]
    assert {axes.get_xscale() for axes in figure.axes} == {"log"}


def test_value_figure_has_one_legend_entry_per_label() -> None:
    (legend,) = draw_rates(DIVERGED_RUNS).legends
    assert len(legend.get_texts()) == 3  # the curve, divergence, the notebook's values


def test_value_figure_marks_the_notebooks_rates() -> None:
    loss = find_panel(draw_rates(make_rate_runs()), "train_loss")
    assert list_xs(loss, linestyle=":") == [[0.01, 0.01]]


def test_value_figure_marks_the_notebooks_sizes() -> None:
    runs = [make_run(batch_size=size) for size in (1, 5, 15, 100, 960)]
    loss = find_panel(draw_sizes({"a": runs}), "train_loss")
    assert {xs[0] for xs in list_xs(loss, linestyle=":")} == {5, 15, 100}


def test_value_figure_sets_two_curves_apart() -> None:
    runs = [make_run(batch_size=size) for size in (1, 10)]
    loss = find_panel(draw_sizes({"a": runs, "b": runs}), "train_loss")
    assert len({xs[0] for xs in list_xs(loss, marker="o")}) == 4
    assert find_line(loss, "a").get_color() != find_line(loss, "b").get_color()


def test_value_figure_joins_no_distant_values() -> None:
    runs = [make_run(lr=lr) for lr in (1e-8, 1e-4, 0.001)]
    line = find_line(find_panel(draw_rates(runs), "train_loss"), "net")
    assert np.isnan(np.asarray(line.get_ydata())).tolist() == [False, True, False, False]


def test_value_figure_marks_a_number_that_was_never_reached() -> None:
    runs = make_rate_runs(epochs_to_90=lambda lr, _: inf if lr < 0.1 else 3)
    panel = find_panel(draw_rates(runs), "epochs_to_90")
    assert list_xs(panel, marker="^") == [[0.001], [0.01]]


def test_value_figure_marks_undefined_numbers() -> None:
    figure = draw_rates(make_rate_runs(noise_scale_end=lambda *_: nan))
    assert len(list_xs(find_panel(figure, "noise_scale_end"), marker="^")) == 4
    assert list_xs(find_panel(figure, "gap"), marker="^") == []


def test_value_figure_marks_a_zero_on_a_log_axis() -> None:
    runs = make_rate_runs(sharpness=lambda lr, seed: 0.0 if (lr, seed) == (0.1, 3) else 5.0)
    panel = find_panel(draw_rates(runs), "sharpness")
    assert list_xs(panel, marker="^") == [[0.1]]
    assert [len(xs) for xs in list_xs(panel, marker="o")] == [5, 5, 4, 5]


def test_value_figure_draws_a_zero_on_a_linear_axis() -> None:
    panel = find_panel(draw_rates(make_rate_runs(gap=lambda *_: 0.0)), "gap")
    assert list_xs(panel, marker="^") == []


def test_value_figure_shows_accuracy_from_0_to_1() -> None:
    axes = find_panel(draw_rates(make_rate_runs()), "held_out_accuracy")
    assert [axes.get_yticks().min(), axes.get_yticks().max()] == [0, 1]


def test_marks_of_diverged_runs_stand_above_all_accuracies() -> None:
    bottom, top = find_panel(draw_rates(make_rate_runs()), "held_out_accuracy").get_ylim()
    assert bottom + UNDEFINED_HEIGHT * (top - bottom) > 1


def make_leakage_run(share: int, accuracy: float, permuted: bool = False) -> LeakageRun:
    return LeakageRun(
        model="net", seed=0, share=share, permuted=permuted, rows=80, test_rows=20,
        accuracy=accuracy, ci_low=0, ci_high=1, balanced_accuracy=accuracy, majority=0.25,
    )  # fmt: skip


LEAKAGE_RUNS = [
    make_leakage_run(50, 0.4),
    make_leakage_run(50, 0.6),
    make_leakage_run(0, 0.2),
    make_leakage_run(100, 0.3, permuted=True),
]


@pytest.fixture
def leakage_axes() -> Axes:
    (axes,) = draw_leakage_dose(LEAKAGE_RUNS, "Digits").axes
    return axes


def test_leakage_dose_joins_the_means_from_the_lowest_share(leakage_axes: Axes) -> None:
    line = find_line(leakage_axes, "labels as they are")
    assert np.asarray(line.get_xdata()).tolist() == [0, 50]
    assert np.asarray(line.get_ydata()) == pytest.approx([0.2, 0.5])


def test_leakage_dose_shows_accuracy_from_0_to_1(leakage_axes: Axes) -> None:
    assert shows_shares(leakage_axes.get_ylim())


def test_leakage_dose_sets_permuted_labels_apart(leakage_axes: Axes) -> None:
    line = find_line(leakage_axes, "labels permuted over subjects")
    assert np.asarray(line.get_xdata()).tolist() == [100]
    assert line.get_color() != find_line(leakage_axes, "labels as they are").get_color()


def test_leakage_dose_draws_a_dot_per_run(leakage_axes: Axes) -> None:
    assert sorted(list_xs(leakage_axes, marker="o")) == [[0], [50, 50], [100]]


def test_leakage_dose_draws_the_largest_class_of_real_labels(leakage_axes: Axes) -> None:
    assert sorted(list_xs(leakage_axes, marker="_", linestyle="None")) == [[0], [50]]


def test_leakage_dose_draws_the_interval_of_each_mean(leakage_axes: Axes) -> None:
    intervals = list_xs(leakage_axes, marker="_", linestyle="-")
    assert sorted(intervals) == [[0, 0], [50, 50], [100, 100]]


def test_leakage_dose_of_long_names_fits() -> None:
    figure = draw_leakage_dose(LEAKAGE_RUNS, f"{LONG_TITLE}, {LONG_NAMES[0]}")
    assert list_layout_faults(figure) == []


def test_value_figure_of_long_names_fits() -> None:
    curves = {LONG_NAMES[0]: group_by_rate(make_rate_runs())}
    label = f"learning rate of {LONG_NAMES[0]}"
    figure = draw_value_figure(curves, StudyName.LEARNING_RATE, label, LONG_TITLE)
    assert list_layout_faults(figure) == []


HALF_WIDTH = 4.303 * 0.1 / 3**0.5  # Student's t of two degrees of freedom


@pytest.mark.parametrize(
    ("shares", "interval"),
    [
        ([0.3, 0.4, 0.5], (0.4 - HALF_WIDTH, 0.4 + HALF_WIDTH)),
        ([0.0, 0.1, 0.2], (0, 0.1 + HALF_WIDTH)),
        ([0.8, 0.9, 1.0], (0.9 - HALF_WIDTH, 1)),
        ([0.5], (nan, nan)),
    ],
)
def test_interval_is_students_within_0_and_1(
    shares: list[float], interval: tuple[float, float]
) -> None:
    assert compute_interval(shares) == pytest.approx(interval, abs=1e-3, nan_ok=True)
