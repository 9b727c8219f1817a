import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mri_stages.plotting.results import (
    ACCURACY,
    AUC,
    LINE_STYLES,
    MAX_MARKERS,
    Score,
    draw_histories,
    draw_intervals,
    draw_learning_rates,
    draw_roc_curves,
)
from mri_stages.plotting.style import BLUE, DIVERGED_COLOUR, REFERENCE_COLOUR, save_png
from mri_stages.storage.history import Epoch
from mri_stages.storage.records import Metrics, RocPoint
from tests.helpers.pictures import LONG_NAMES, LONG_TITLE, list_layout_faults, shows_shares


def make_metrics(accuracy: float, low: float, high: float, **others: Any) -> Metrics:
    return Metrics(
        accuracy=accuracy, ci_low=low, ci_high=high, balanced_accuracy=0.5, macro_f1=0.5, **others
    )


METRICS = {
    "good": make_metrics(0.7, 0.6, 0.9, auc=0.8, auc_low=0.7, auc_high=0.95, diverged=False),
    "hot": make_metrics(0.1, 0.05, 0.2, diverged=True),
    "majority": make_metrics(0.5, 0.4, 0.6, auc=0.5, auc_low=0.5, auc_high=0.5),
}
GIVEN = {"good": make_metrics(0.95, 0.9, 1.0)}

GOOD = [Epoch(1, 1.2, 1, 0.5, 1.1, 0.4), Epoch(2, 0.3, 1, 0.6, 0.9, 0.7)]
HOT = [Epoch(1, 1e29, 1, 0.5), Epoch(2, math.nan, 1, 0.4)]
PLAIN = [Epoch(1, 3.0, 1, 0.5), Epoch(2, 0.2, 1, 0.5)]


def list_points(axes: Any) -> list[tuple[float, ...]]:
    """Return the x values and then the y values of each line."""
    return [(*line.get_xdata(), *line.get_ydata()) for line in axes.lines]


def list_texts(texts: Any) -> list[str]:
    return [text.get_text() for text in texts]


def list_labels(figure: Any) -> list[str]:
    """Return what the only legend of a figure names."""
    (legend,) = figure.legends
    return list_texts(legend.get_texts())


def draw_new_subjects() -> Any:
    return draw_intervals(METRICS, AUC, "Digits: new", "No network is better", GIVEN)


def test_intervals_name_the_figures_and_those_on_the_given_split() -> None:
    figure = draw_intervals(METRICS, ACCURACY, "Digits: new", "", GIVEN)
    assert list_texts(figure.axes[0].texts) == ["0.700 (0.950)", "0.100 diverged", "0.500"]


def test_intervals_of_a_model_without_a_figure_have_a_dash() -> None:
    assert list_texts(draw_new_subjects().axes[0].texts) == ["0.800", "- diverged", "0.500"]


def test_intervals_name_the_models_and_the_data() -> None:
    figure = draw_new_subjects()
    (axes,) = figure.axes
    assert list_texts(axes.get_yticklabels()) == [*METRICS]
    assert figure.get_suptitle() == "Digits: new"
    assert axes.get_title() == "No network is better"
    assert "AUC" in axes.get_xlabel()


def test_intervals_lie_at_their_values_beside_a_constant_answer() -> None:
    (axes,) = draw_new_subjects().axes
    good = [(0.7, 0.95, 0, 0), (0.8, 0)]
    majority = [(0.5, 0.5, 2, 2), (0.5, 2)]
    constant = [(0.5, 0.5, 0, 1)]  # over the whole height
    assert list_points(axes) == [*good, *majority, *constant]


def test_intervals_show_the_given_split_below_the_same_model() -> None:
    figure = draw_intervals(METRICS, ACCURACY, "Digits: new", "", GIVEN)
    assert (0.95, 0.25) in list_points(figure.axes[0])


def test_intervals_without_a_given_split_show_one_figure() -> None:
    figure = draw_intervals(METRICS, ACCURACY, "Digits", "by row")
    assert list_texts(figure.axes[0].texts) == ["0.700", "0.100 diverged", "0.500"]


def test_intervals_show_the_first_model_on_top() -> None:
    bottom, top = draw_new_subjects().axes[0].get_ylim()
    assert top < 0 < 2 < bottom


def test_intervals_are_shown_from_0_to_1() -> None:
    assert shows_shares(draw_new_subjects().axes[0].get_xlim())


def test_intervals_tell_models_baselines_and_divergence_apart() -> None:
    (axes,) = draw_intervals(METRICS, ACCURACY, "Digits: new", "").axes
    marks = [line for line in axes.lines[:6] if line.get_marker() != "None"]
    assert [(mark.get_marker(), mark.get_color()) for mark in marks] == [
        ("o", BLUE),
        ("X", DIVERGED_COLOUR),
        ("s", REFERENCE_COLOUR),
    ]


def test_intervals_have_a_legend_of_each_mark() -> None:
    figure: Any = draw_intervals(METRICS, ACCURACY, "Digits: new", "", GIVEN)
    (legend,) = figure.legends
    assert [handle.get_marker() for handle in legend.legend_handles] == ["o", "D", "X", "s", "None"]


@pytest.mark.parametrize("score", [ACCURACY, AUC])
def test_intervals_of_long_names_fit(score: Score) -> None:
    metrics = {name: METRICS["hot"] for name in LONG_NAMES} | METRICS
    assert list_layout_faults(draw_intervals(metrics, score, LONG_TITLE, "by row", GIVEN)) == []


@pytest.mark.parametrize("score", [ACCURACY, AUC])
def test_intervals_below_a_long_sentence_fit(score: Score) -> None:
    sentence = "No network is better than the best baseline. " * 5
    assert list_layout_faults(draw_intervals(METRICS, score, LONG_TITLE, sentence, GIVEN)) == []


CURVE = [RocPoint(name, *xy) for name in "ab" for xy in ((0.0, 0.0), (0.2, 0.7), (1.0, 1.0))]
CURVES: dict[str, list[RocPoint]] = {"good": CURVE, "hot": [], "majority": []}


def test_roc_curves_show_each_class() -> None:
    figure: Any = draw_roc_curves(CURVES, METRICS, ["a", "b"], "Digits: ROC")
    _, *curves = list_points(figure.axes[0])
    assert curves == [(0.0, 0.2, 1.0, 0.0, 0.7, 1.0)] * 2


def test_roc_curves_are_shown_from_0_to_1() -> None:
    axes = draw_roc_curves(CURVES, METRICS, ["a", "b"], "Digits: ROC").axes[0]
    assert shows_shares(axes.get_xlim())
    assert shows_shares(axes.get_ylim())


def test_roc_curves_of_two_classes_differ_in_colour() -> None:
    figure: Any = draw_roc_curves(CURVES, METRICS, ["a", "b"], "Digits: ROC")
    colours = [line.get_color() for line in figure.axes[0].lines[1:]]
    assert colours == [LINE_STYLES[0][1], LINE_STYLES[1][1]]


def test_roc_curves_name_divergence() -> None:
    figure: Any = draw_roc_curves(CURVES, METRICS, ["a", "b"], "Digits: ROC")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["good", "hot: diverged", "majority: no curve"]


def test_roc_curves_have_one_legend_of_the_classes() -> None:
    assert list_labels(draw_roc_curves(CURVES, METRICS, ["a", "b"], "Digits: ROC")) == ["a", "b"]


def draw_classes(classes: list[str], models: Sequence[str] = ("good",), title: str = "T") -> Any:
    """Return the curves of models that are alike, with a curve for each class."""
    points = [point._replace(name=name) for name in classes for point in CURVE[:3]]
    metrics = dict.fromkeys(models, METRICS["good"])
    return draw_roc_curves(dict.fromkeys(models, points), metrics, classes, title)


@pytest.mark.parametrize("name", ["_a", "$x$", "$\\frac$"])
def test_roc_legend_shows_a_name_as_it_is(tmp_path: Path, name: str) -> None:
    figure = draw_classes([name, "b"])
    save_png(tmp_path / "roc.png", figure)
    assert list_labels(figure) == [name, "b"]


def test_roc_legend_numbers_a_class_that_the_font_lacks(tmp_path: Path) -> None:
    figure = draw_classes(["a", "轻度"], title="轻度: ROC")
    save_png(tmp_path / "roc.png", figure)  # without a warning
    assert list_labels(figure) == ["a", "class 2"]


def test_roc_legend_names_any_class_against_the_negative_one() -> None:
    points = [point._replace(name="not b") for point in CURVE[:3]]
    figure = draw_roc_curves({"good": points}, METRICS, ["a", "b"], "T")
    assert list_labels(figure) == ["not b"]


def draw_some_of_twelve(*places: int) -> Any:
    """Return the curves of a model that has one for these of twelve classes."""
    classes = [f"class {place}" for place in range(12)]
    points = [point._replace(name=classes[place]) for place in places for point in CURVE[:3]]
    return draw_roc_curves({"good": points}, METRICS, classes, LONG_TITLE)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (range(10), "the first 10 of 12 classes"),
        ((0, 2, 3), "(3 of 12 classes"),
        (range(12), ""),
    ],
)
def test_roc_legend_counts_the_classes_with_a_curve(places: Sequence[int], expected: str) -> None:
    figure = draw_some_of_twelve(*places)
    (legend,) = figure.legends
    _, _, note = legend.get_title().get_text().partition("\n")
    assert expected in note
    assert bool(note) == bool(expected)
    assert list_layout_faults(figure) == []


@pytest.mark.parametrize(("models", "n_classes"), [(("good",), 21), (LONG_NAMES, 2)])
def test_roc_curves_of_long_names_fit(models: Sequence[str], n_classes: int) -> None:
    classes = [f"{'x' * 150}{place}" for place in range(n_classes)]
    assert list_layout_faults(draw_classes(classes, models, LONG_TITLE)) == []


@pytest.mark.parametrize(("n_models", "n_panels"), [(2, 2), (3, 3), (4, 6)])
def test_roc_curves_fill_rows_of_three_panels(n_models: int, n_panels: int) -> None:
    curves = {f"m{place}": CURVE for place in range(n_models)}
    figure: Any = draw_roc_curves(curves, METRICS, ["a", "b"], "Digits: ROC")
    assert len(figure.axes) == n_panels
    assert [axes.axison for axes in figure.axes].count(True) == n_models


def test_histories_count_epochs_from_one() -> None:
    loss, _ = draw_histories({"good": PLAIN}, METRICS, "Digits").axes
    assert list_points(loss) == [(1, 2, 3.0, 0.2)]


def test_histories_show_accuracies_from_0_to_1() -> None:
    _, accuracy = draw_histories({"good": PLAIN}, METRICS, "Digits").axes
    assert shows_shares(accuracy.get_ylim())


def test_histories_show_validation_dashed() -> None:
    loss, accuracy = draw_histories({"good": GOOD}, METRICS, "Digits").axes
    dashed = [line for line in (*loss.lines, *accuracy.lines) if line.get_linestyle() == "--"]
    assert [[*np.asarray(line.get_ydata())] for line in dashed] == [[1.1, 0.9], [0.4, 0.7]]


def test_histories_mark_the_kept_epoch() -> None:
    kept = METRICS["good"].model_copy(update={"kept_epoch": 2})
    loss, accuracy = draw_histories({"good": GOOD}, {"good": kept}, "Digits").axes
    stars = [
        line
        for line in (*loss.lines, *accuracy.lines)
        if line.get_marker() == "*" and np.size(line.get_xdata())
    ]
    assert [list_line_points(star) for star in stars] == [[(2, 0.9)], [(2, 0.7)]]


def list_line_points(line: Any) -> list[tuple[float, float]]:
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def make_ensemble(*histories: list[Epoch]) -> list[Epoch]:
    """Return the history of an ensemble of networks with these histories."""
    rows = []
    for number, history in enumerate(histories):
        rows += [epoch._replace(network=number) for epoch in history]
    return rows


def test_histories_draw_a_line_per_network_and_one_name() -> None:
    figure = draw_histories({"good": make_ensemble(PLAIN, GOOD)}, METRICS, "Digits")
    assert list_points(figure.axes[0])[:2] == [(1, 2, 3.0, 0.2), (1, 2, 1.2, 0.3)]
    assert list_labels(figure) == ["good", "good, validation"]


def test_histories_mark_each_network_that_diverged() -> None:
    loss, _ = draw_histories({"hot": make_ensemble(HOT, GOOD, HOT)}, METRICS, "Digits").axes
    crosses = [line for line in loss.lines if line.get_marker() == "X"]
    assert len(crosses) == 2


def test_learning_rates_show_the_mean_loss_of_an_ensemble() -> None:
    histories = {"good": make_ensemble(PLAIN, GOOD), "plain": PLAIN}
    metrics = {"good": METRICS["good"], "plain": METRICS["good"]}
    figure = draw_learning_rates([{"good": 0.1, "plain": 0.2}], metrics, histories, "Digits")
    loss_axes = figure.axes[1]
    ((_, loss),) = list_line_points(loss_axes.lines[0])
    assert loss == pytest.approx(0.25)


def test_histories_name_models_validation_and_divergence() -> None:
    figure = draw_histories({"good": GOOD, "hot": HOT}, METRICS, "Digits")
    assert list_labels(figure) == ["good", "good, validation", "hot, diverged"]


def test_histories_name_a_loss_of_nan_after_the_epoch_kept() -> None:
    figure = draw_histories({"good": [PLAIN[0], HOT[1]]}, METRICS, "Digits")
    (label,) = list_labels(figure)
    assert "good" in label
    assert "diverged" not in label


def test_histories_mark_divergence_above_the_losses() -> None:
    loss, _ = draw_histories({"good": GOOD, "hot": HOT}, METRICS, "Digits").axes
    (cross,) = (line for line in loss.lines if line.get_marker() == "X")
    heights: Any = cross.get_ydata()
    assert [*np.asarray(cross.get_xdata())] == [2]
    assert heights[0] > 1  # in heights of the panel


def test_histories_stack_the_crosses_below_the_title() -> None:
    figure: Any = draw_histories({"hot": HOT, "again": HOT}, {**METRICS, "again": METRICS["hot"]},
                                 "Digits")  # fmt: skip
    loss, _ = figure.axes
    heights = [line.get_ydata()[0] for line in loss.lines if line.get_marker() == "X"]
    assert heights == pytest.approx([1.06, 1.12])
    assert loss.title.get_position()[1] > heights[1]


def test_histories_mark_divergence_at_its_accuracy() -> None:
    _, accuracy = draw_histories({"good": GOOD, "hot": HOT}, METRICS, "Digits").axes
    (cross,) = (line for line in accuracy.lines if line.get_marker() == "X")
    assert [*np.asarray(cross.get_xdata()), *np.asarray(cross.get_ydata())] == [2, 0.4]


@pytest.mark.parametrize("n_diverged", [1, 12])
def test_histories_of_many_models_fit(n_diverged: int) -> None:
    names = [*LONG_NAMES, *(f"m{place}" for place in range(10))]
    histories = {name: HOT if place < n_diverged else GOOD for place, name in enumerate(names)}
    metrics = dict.fromkeys(names, METRICS["hot"])
    assert list_layout_faults(draw_histories(histories, metrics, LONG_TITLE)) == []


def test_histories_of_many_epochs_have_few_markers() -> None:
    history = [Epoch(epoch, 1.0, 1, 0.5) for epoch in range(500)]
    loss, _ = draw_histories({"good": history}, METRICS, "Digits").axes
    spacing: Any = loss.lines[0].get_markevery()
    assert len(history) / spacing <= MAX_MARKERS


def test_histories_cut_a_huge_loss_off() -> None:
    loss, _ = draw_histories({"good": GOOD, "hot": HOT}, METRICS, "Digits").axes
    assert 1.2 < loss.get_ylim()[1] < 1e5  # the loss of 1e29 does not flatten the others


def draw_two_learning_rates() -> Any:
    histories = {"good": PLAIN, "hot": [Epoch(1, math.nan, 1, 0.5)]}
    groups = [{"good": 1e-8, "hot": 10.0}]
    return draw_learning_rates(groups, METRICS, histories, "Digits")


def test_learning_rates_show_accuracies_with_intervals() -> None:
    top, _ = draw_two_learning_rates().axes
    good = [(1e-8, 1e-8, 0.6, 0.9), (1e-8, 0.7)]
    hot = [(10, 10, 0.05, 0.2), (10, 0.1)]
    assert list_points(top) == [*good, *hot]


def test_learning_rates_have_the_scales_of_their_figures() -> None:
    top, bottom = draw_two_learning_rates().axes
    assert top.get_xscale() == bottom.get_xscale() == "log"
    assert shows_shares(top.get_ylim())


def test_learning_rates_show_the_last_finite_loss() -> None:
    _, bottom = draw_two_learning_rates().axes
    points = [point for point in list_points(bottom) if np.isfinite(point).all()]
    assert points == [(1e-8, 0.2)]


def test_learning_rates_name_models_without_a_loss() -> None:
    _, bottom = draw_two_learning_rates().axes
    assert "hot (lr 10)" in bottom.get_title()
    assert "good" not in bottom.get_title()


def test_learning_rates_name_models_and_divergence() -> None:
    top, _ = draw_two_learning_rates().axes
    assert list_texts(top.texts) == ["good", "hot\ndiverged"]


def draw_rates(learning_rates: Mapping[str, float], title: str = "Digits") -> Any:
    """Return the picture of models that differ in the learning rate alone."""
    histories = dict.fromkeys(learning_rates, PLAIN)
    metrics = dict.fromkeys(learning_rates, METRICS["good"])
    return draw_learning_rates([learning_rates], metrics, histories, title)


def test_learning_rates_of_near_points_have_a_legend() -> None:
    figure = draw_rates({"good": 0.1, "better": 0.101, "best": 1e-9})
    assert list_texts(figure.axes[0].texts) == []
    assert [label.split(",")[0] for label in list_labels(figure)] == ["good", "better", "best"]


def test_learning_rates_of_near_points_differ_in_style() -> None:
    top, _ = draw_rates({"good": 0.1, "better": 0.101, "best": 1e-9}).axes
    points = [line for line in top.lines if len(line.get_xdata()) == 1]
    assert len({(line.get_marker(), line.get_color()) for line in points}) == 3


@pytest.mark.parametrize("ratio", [1.01, 1e6])
def test_learning_rates_of_long_names_fit(ratio: float) -> None:
    rates = {name: ratio**place for place, name in enumerate(LONG_NAMES)}
    assert list_layout_faults(draw_rates(rates, LONG_TITLE)) == []


def test_learning_rates_of_many_models_fit() -> None:
    rates = {f"m{place}": 0.1 + place / 100 for place in range(25)}
    assert list_layout_faults(draw_rates(rates)) == []


def test_learning_rates_without_a_group_are_a_sentence() -> None:
    figure = draw_learning_rates([], METRICS, {}, "Digits")
    assert not figure.axes
    assert len(figure.texts) == 1


@pytest.mark.parametrize("losses", [[math.nan], [0.5, 0.0], [math.inf, 1.0]])
def test_save_png_of_extreme_losses_repeats(tmp_path: Path, losses: list[float]) -> None:
    histories = {"hot": [Epoch(epoch, loss, 1, 0.5) for epoch, loss in enumerate(losses, start=1)]}
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        save_png(path, draw_histories(histories, METRICS, "Digits"))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
