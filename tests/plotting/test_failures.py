from typing import Any

import numpy as np

from mri_stages.plotting.failures import draw_failures
from mri_stages.storage.failures import Failure
from tests.helpers.pictures import DOLLARS, LONG_NAMES, LONG_TITLE, list_layout_faults

CLASSES = ["Ill", "Sane"]
IMAGES = {row: np.full((1, 4, 3), row, np.uint8) for row in range(3)}


def make_failure(model: str, row: int) -> Failure:
    return Failure(model, 7 + row, "Ill", "not Ill", 0.875, row, 0.75, "")


def test_failures_have_three_images_in_a_row() -> None:
    """More make the text too small for a telephone."""
    failures = {name: [make_failure(name, place % 3) for place in range(5)] for name in "ab"}
    figure: Any = draw_failures(failures, IMAGES, CLASSES, "Title")
    models = [axes.get_title().partition("\n")[0] for axes in figure.axes]
    assert models == [*"aaaaa", "", *"bbbbb", ""]
    assert figure.axes[2].get_subplotspec().is_last_col()


def test_failures_of_long_names_fit() -> None:
    failure = make_failure("", 1)._replace(actual=DOLLARS)
    failures = {name: [failure._replace(model=name)] * 2 for name in LONG_NAMES}
    figure = draw_failures(failures, IMAGES, ["Ill", DOLLARS, *LONG_NAMES], LONG_TITLE)
    assert list_layout_faults(figure) == []


def test_failures_have_a_row_of_images_for_each_model() -> None:
    failures = {"a": [make_failure("a", 0), make_failure("a", 1)], "none": [], "b": []}
    failures["b"] = [make_failure("b", 2)]
    figure = draw_failures(failures, IMAGES, CLASSES, "Title")
    shown = [axes for axes in figure.axes if axes.images]
    pixels = [np.asarray(axes.images[0].get_array()) for axes in shown]
    assert [values.max() for values in pixels] == [0, 1, 2]
    assert len(figure.axes) == 4


def test_failure_of_three_channels_is_in_colour() -> None:
    image: np.ndarray = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    axes = draw_failures({"a": [make_failure("a", 1)]}, {1: image}, CLASSES, "Title").axes[0]
    shown = np.asarray(axes.images[0].get_array())
    np.testing.assert_array_equal(shown, image.transpose(1, 2, 0))


def test_failure_names_model_subject_and_answer() -> None:
    figure = draw_failures({"a": [make_failure("a", 1)]}, IMAGES, CLASSES, "Title")
    assert figure.axes[0].get_title().split("\n") == [
        "a",
        "subject 8",
        "is Ill",
        "answer (0.88):",
        "not Ill",
    ]


def test_no_failure_is_a_sentence() -> None:
    assert draw_failures({"a": []}, {}, CLASSES, "Title").texts[0].get_text()
