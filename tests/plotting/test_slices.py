from typing import Any

import numpy as np
import pytest

from mri_stages.plotting import slices
from mri_stages.plotting.slices import draw_slices
from tests.helpers.pictures import DOLLARS, LONG_TITLE, list_layout_faults


def draw_grey(n_rows: int, n_classes: int = 2) -> Any:
    """Return the picture of grey images that all differ, of classes 0, 1, ..."""
    images = np.arange(n_rows * 24, dtype=np.float32).reshape(n_rows, 2, 3, 4)
    names = [f"class {label}" for label in range(n_classes)]
    return draw_slices(images, np.arange(n_rows) % n_classes, names, "Digits"), images


def draw_colours(dtype: type) -> np.ndarray:
    """Return what is shown of an image with three channels."""
    images: np.ndarray = np.zeros((2, 3, 4, 5), dtype)
    images[0, 0] = 200
    images[0, 1, 0] = 100
    figure: Any = draw_slices(images, np.arange(2), ["a", "b"], "Photos")
    shown: np.ndarray = figure.axes[1].images[0].get_array()
    return shown


@pytest.mark.parametrize(("n_rows", "row"), [(30, 29), (501, 500), (600, 500)])
def test_slices_are_row_500_or_the_last_and_each_class(n_rows: int, row: int) -> None:
    figure, images = draw_grey(n_rows)
    for axes, expected in zip(figure.axes, [row, 0, 1], strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[expected, 0])
        assert axes.get_title() == f"row {expected}:\nclass {expected % 2}"


def test_slices_name_the_data() -> None:
    figure, _ = draw_grey(3)
    assert "Digits" in figure.get_suptitle()


def test_slices_of_many_classes_show_each() -> None:
    figure, _ = draw_grey(24, n_classes=12)
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert len(titles) == 13
    assert {title.split("\n")[1] for title in titles} == {f"class {label}" for label in range(12)}


def test_slices_say_how_many_classes_they_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "MAX_IMAGES", 4)
    figure, _ = draw_grey(10, n_classes=5)
    assert len(figure.axes) == 4
    assert "the first 3 of 5 classes" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("n_channels", "is_named"), [(1, False), (2, True), (3, False), (20, True)]
)
def test_slices_say_that_they_show_one_of_many_channels(n_channels: int, is_named: bool) -> None:
    images = np.zeros((3, n_channels, 4, 4), np.uint8)
    figure: Any = draw_slices(images, np.arange(3) % 2, ["a", "b"], "T")
    assert ("channels" in figure.get_suptitle()) is is_named


@pytest.mark.parametrize(
    ("n_classes", "shape"),
    [
        (1, (1, 8, 8)),
        (2, (3, 12, 16)),
        (1, (1, 2, 200)),
        (1, (1, 200, 2)),
        (9, (1, 8, 8)),
        (14, (1, 8, 8)),
    ],
)
def test_slices_of_long_names_fit(n_classes: int, shape: tuple[int, ...]) -> None:
    names = [f"{DOLLARS} {'x' * 150}{label}" for label in range(n_classes)]
    labels = np.arange(n_classes)
    figure = draw_slices(np.zeros((n_classes, *shape), np.uint8), labels, names, LONG_TITLE)
    assert list_layout_faults(figure) == []


def test_slices_show_bytes_of_three_channels_as_colours() -> None:
    colours = draw_colours(np.uint8)
    assert colours.shape == (4, 5, 3)
    assert colours[0, 0].tolist() == [200, 100, 0]
    assert colours[1, 0].tolist() == [200, 0, 0]


def test_slices_scale_floats_of_three_channels_to_one() -> None:
    assert draw_colours(np.float32)[0, 0].tolist() == [1, 0.5, 0]


def test_slices_show_equal_channels_in_grey() -> None:
    grey: np.ndarray = np.zeros((2, 1, 4, 5), np.uint8)
    images = np.broadcast_to(grey, (2, 3, 4, 5))  # equal channels have a stride of 0
    figure: Any = draw_slices(images, np.arange(2), ["a", "b"], "Slices")
    assert figure.axes[1].images[0].get_array().shape == (4, 5)


def test_slices_of_a_flat_colour_image_are_shown() -> None:
    images: np.ndarray = np.full((1, 3, 4, 5), 0.5, np.float32)
    figure: Any = draw_slices(images, np.zeros(1, int), ["a"], "Photos")
    assert not figure.axes[0].images[0].get_array().any()


@pytest.mark.parametrize("n_classes", [5, 10])
def test_slices_of_up_to_ten_classes_are_not_too_wide_to_read(n_classes: int) -> None:
    figure, _ = draw_grey(n_classes, n_classes=n_classes)
    assert figure.get_size_inches()[0] < 15
