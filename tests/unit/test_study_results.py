"""Luck of a start, and what the studies' pictures show."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.study_figures import seed_figure, value_figure
from src.study_tests import model_differences
from tests.unit.test_claims import by_rate, cell


def test_a_difference_is_larger_than_luck_only_beside_the_spread_over_seeds() -> None:
    rng = np.random.default_rng(0)
    spread = rng.normal(0, 0.01, (3, 5))
    models = {
        name: [cell(s, held_out_accuracy=level + spread[i, s]) for s in range(5)]
        for i, (name, level) in enumerate({"a": 0.70, "b": 0.705, "c": 0.80}.items())
    }
    verdicts = {(a, b): larger for a, b, *_, larger in model_differences(models)}
    assert verdicts == {("a", "b"): False, ("a", "c"): True, ("b", "c"): True}


def test_without_luck_to_compare_with_nothing_is_larger_than_it() -> None:
    still = {
        n: [cell(s, held_out_accuracy=v) for s in range(5)] for n, v in (("a", 0.5), ("b", 0.6))
    }
    single = {name: cells[:1] for name, cells in still.items()}
    for models in (still, single):
        ((*_, p, larger),) = model_differences(models)
        assert (p, larger) == (1.0, False)


def texts(figure: Figure) -> str:
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return " ".join([*(axes.get_title() for axes in figure.axes), *legends])


def drawn(axes: Axes, **style: str) -> list[np.ndarray]:
    """The x of every line of that style."""
    return [
        np.asarray(line.get_xdata())
        for line in axes.lines
        if all(getattr(line, f"get_{key}")() == value for key, value in style.items())
    ]


def test_a_point_a_seed_on_log_axes_and_divergence_marked() -> None:
    cells = by_rate(diverged=lambda lr, _: lr == 1.0, train_loss=lambda lr, s: (1 + s) / lr)
    figure = value_figure({"net": cells}, "lr", "learning rate")
    loss = figure.axes[0]
    assert (loss.get_xscale(), loss.get_yscale()) == ("log", "log")
    assert [len(x) for x in drawn(loss, marker="o", linestyle="None")] == [5, 5, 5, 0]
    np.testing.assert_array_equal(drawn(loss, marker="X"), [[1.0]])
    np.testing.assert_array_equal(drawn(loss, linestyle=":"), [[0.01, 0.01]])
    assert "diverged" in texts(figure)


def test_the_notebooks_own_sizes_are_marked_without_a_warning() -> None:
    cells = [cell(batch_size=size) for size in (1, 5, 15, 100, 960)]
    panel = value_figure({"net": cells}, "batch_size", "batch size").axes[0]
    marked = {x[0] for x in drawn(panel, linestyle=":")}
    assert marked == {5, 15, 100}


def test_never_stands_at_the_top() -> None:
    cells = by_rate(epochs_to_90=lambda lr, _: "never" if lr < 0.1 else 3)
    panel = value_figure({"net": cells}, "lr", "learning rate").axes[3]
    np.testing.assert_array_equal(drawn(panel, marker="^"), [[0.001], [0.01]])


def test_a_zero_that_a_log_axis_cannot_show_is_marked() -> None:
    cells = by_rate(sharpness=lambda lr, seed: 0.0 if (lr, seed) == (0.1, 3) else 5.0)
    panel = value_figure({"net": cells}, "lr", "learning rate").axes[5]
    assert [len(x) for x in drawn(panel, marker="o", linestyle="None")] == [5, 5, 4, 5]
    np.testing.assert_array_equal(drawn(panel, marker="^"), [[0.1]])


def test_seed_figure_names_models_and_draws_every_seed() -> None:
    models = {"a": [cell(s) for s in range(5)], "b": [cell(0, diverged=True, train_loss=None)]}
    figure = seed_figure(models)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["b", "a"]
    assert sum(len(x) for x in drawn(left, marker="o")) == 5
    assert "0.702 ± 0.0016" in [text.get_text() for text in left.texts]
    assert len(drawn(right, marker="X")) == 1
