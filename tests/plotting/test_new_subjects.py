"""The pictures of probabilities and decisions on new subjects."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from mri_stages.plotting.new_subjects import (
    draw_calibration,
    draw_decisions,
    draw_new_roc,
    sum_bins,
)
from mri_stages.storage.records import CalibrationPoint, DecisionPoint, Metrics, RocPoint
from tests.helpers.pictures import LONG_NAMES, LONG_TITLE, list_layout_faults, shows_shares

CALIBRATION = [
    CalibrationPoint(0.25, None, 3, 1),
    CalibrationPoint(0.5, 0.375, 2, 2),
    CalibrationPoint(0.75, 0.625, 0, 4),
]
DECISION = [DecisionPoint(0.25, 0.375, 0.25), DecisionPoint(0.75, 0.125, -1.0)]
ROC = [RocPoint("b", 0.0, 0.0), RocPoint("b", 0.25, 0.75), RocPoint("b", 1.0, 1.0)]
METRICS = Metrics(
    accuracy=0.5, ci_low=0.4, ci_high=0.6, balanced_accuracy=0.5, macro_f1=0.5, auc=0.75
)


def find_line(axes: Any, label: str) -> Any:
    """Return the line whose label begins so."""
    (line,) = (line for line in axes.lines if line.get_label().startswith(label))
    return line


def list_line(line: Any) -> tuple[list[float], list[float]]:
    return [*np.asarray(line.get_xdata())], [*np.asarray(line.get_ydata())]


def is_sentence(figure: Figure) -> bool:
    return not figure.axes and len(figure.texts) == 1


def test_calibration_curve_has_a_gap_outside_the_predictions() -> None:
    (axes,) = draw_calibration({"net": CALIBRATION}, "Digits").axes
    probabilities, observed = list_line(axes.lines[1])
    assert probabilities == [0.25, 0.5, 0.75]
    assert np.isnan(observed[0])
    assert observed[1:] == [0.375, 0.625]


def test_calibration_panels_with_nothing_below_have_numbers() -> None:
    figure = draw_calibration(dict.fromkeys("abc", CALIBRATION), "Digits")
    assert [axes.xaxis.get_tick_params()["labelbottom"] for axes in figure.axes[:3]] == [
        False,
        True,
        True,
    ]


def test_calibration_has_bars_of_both_classes() -> None:
    axes: Any = draw_calibration({"net": CALIBRATION}, "Digits").axes[0]
    heights = np.array([bar.get_height() for bar in axes.patches])
    positives = heights[: len(heights) // 2]
    negatives = heights[len(heights) // 2 :]
    assert positives[positives > 0] / positives.max() == pytest.approx([1, 2 / 3])
    assert negatives[negatives < 0] / negatives.min() == pytest.approx([1 / 4, 2 / 4, 1])


@pytest.mark.parametrize("p", [0.005, 0.395, 0.995])
def test_calibration_bars_stand_at_their_probability(p: float) -> None:
    bins = (np.arange(100) + 0.5) / 100
    points = [CalibrationPoint(middle, None, float(np.isclose(middle, p)), 0) for middle in bins]
    axes: Any = draw_calibration({"net": points}, "Digits").axes[0]
    (bar,) = (bar for bar in axes.patches if bar.get_height() > 0)
    assert bar.get_x() + bar.get_width() / 2 == pytest.approx(p, abs=0.03)


def test_calibration_bars_stay_below_the_curves() -> None:
    axes: Any = draw_calibration({"net": CALIBRATION}, "Digits").axes[0]
    tops = [max(bar.get_y(), bar.get_y() + bar.get_height()) for bar in axes.patches]
    bottoms = [min(bar.get_y(), bar.get_y() + bar.get_height()) for bar in axes.patches]
    assert max(tops) < 0
    assert min(bottoms) > axes.get_ylim()[0]


def test_calibration_has_a_panel_of_each_model_with_points() -> None:
    figure: Any = draw_calibration({"a": CALIBRATION, "b": [], "c": CALIBRATION}, "Digits")
    assert [axes.get_title() for axes in figure.axes] == ["a", "c"]


def test_bins_are_summed_in_order() -> None:
    bars = sum_bins([1.0] * 50 + [3.0] * 50)
    assert bars.tolist() == [5.0] * 10 + [15.0] * 10


def test_decisions_show_models_and_both_treatments() -> None:
    axes: Any = draw_decisions({"net": DECISION}, 0.5, "Digits").axes[0]
    assert list_line(find_line(axes, "net")) == ([0.25, 0.75], [0.375, 0.125])
    assert list_line(find_line(axes, "treat all")) == ([0.25, 0.75], [0.25, -1.0])
    assert list_line(find_line(axes, "treat none")) == ([0.25, 0.75], [0, 0])


def test_decisions_mark_the_threshold_of_the_tables() -> None:
    axes: Any = draw_decisions({"net": DECISION}, 0.375, "Digits").axes[0]
    assert list_line(find_line(axes, "threshold"))[0] == [0.375, 0.375]


def test_decisions_cut_treat_all_off() -> None:
    bottom, top = draw_decisions({"net": DECISION}, 0.5, "Digits").axes[0].get_ylim()
    assert -0.375 < bottom < 0
    assert top > 0.375


def test_roc_of_two_classes_has_one_panel() -> None:
    curves = {"net": ROC, "linear": ROC}
    (axes,) = draw_new_roc(curves, dict.fromkeys(curves, METRICS), ["a", "b"], "Digits").axes
    assert list_line(find_line(axes, "net")) == ([0.0, 0.25, 1.0], [0.0, 0.75, 1.0])
    assert "0.750" in find_line(axes, "linear").get_label()


def test_probabilities_and_rates_are_shown_from_0_to_1() -> None:
    figures = [
        draw_calibration({"net": CALIBRATION}, "Digits"),
        draw_decisions({"net": DECISION}, 0.5, "Digits"),
        draw_new_roc({"net": ROC}, {"net": METRICS}, ["a", "b"], "Digits"),
    ]
    (calibration,), (decisions,), (roc,) = (figure.axes for figure in figures)
    for limits in (calibration.get_xlim(), decisions.get_xlim(), roc.get_xlim(), roc.get_ylim()):
        assert shows_shares(limits)
    assert 1 <= calibration.get_ylim()[1] < 1.1  # below 0 are the bars


def test_roc_of_many_classes_has_a_panel_of_each_model() -> None:
    points = [point._replace(name=name) for name in "abc" for point in ROC]
    curves = {"net": points, "linear": points}
    figure = draw_new_roc(curves, dict.fromkeys(curves, METRICS), ["a", "b", "c"], "Digits")
    assert len(figure.axes) == 2


@pytest.mark.parametrize(
    "figure",
    [
        draw_calibration({"net": []}, "Digits"),
        draw_decisions({}, 0.5, "Digits"),
        draw_new_roc({"net": []}, {"net": METRICS}, ["a", "b"], "Digits"),
    ],
)
def test_picture_without_a_curve_is_a_sentence(figure: Figure) -> None:
    assert is_sentence(figure)


@pytest.mark.parametrize("n_models", [1, 3, 8])
def test_pictures_of_long_names_fit(n_models: int) -> None:
    names = [*LONG_NAMES, *(f"m{place}" for place in range(10))][:n_models]
    metrics = dict.fromkeys(names, METRICS)
    figures = [
        draw_calibration(dict.fromkeys(names, CALIBRATION), LONG_TITLE),
        draw_decisions(dict.fromkeys(names, DECISION), 0.5, LONG_TITLE),
        draw_new_roc(dict.fromkeys(names, ROC), metrics, ["a", "b"], LONG_TITLE),
    ]
    assert [list_layout_faults(figure) for figure in figures] == [[], [], []]
