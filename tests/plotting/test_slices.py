from typing import Any

import numpy as np
import pytest

from mri_stages.plotting.slices import draw_slices


@pytest.mark.parametrize(("n_rows", "row"), [(30, 29), (501, 500), (600, 500)])
def test_slice_figure_shows_row_500_or_the_last_and_each_class(n_rows: int, row: int) -> None:
    images = np.arange(n_rows * 24, dtype=np.float32).reshape(n_rows, 2, 3, 4)
    figure = draw_slices(images, np.arange(n_rows) % 2, ["ill", "sane"], "Digits")
    assert "Digits" in figure.get_suptitle()
    for axes, expected in zip(figure.axes, [row, 0, 1], strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[expected, 0])
        assert axes.get_title() == f"row {expected}:\n{['ill', 'sane'][expected % 2]}"


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_slice_figure_shows_three_different_channels_as_a_colour(dtype: type) -> None:
    images: np.ndarray = np.zeros((2, 3, 4, 5), dtype)
    images[0, 0], images[0, 1, 0] = 200, 100
    shown: Any = draw_slices(images, np.arange(2), ["a", "b"], "Photos").axes[1].images[0]
    colours = shown.get_array()
    assert colours.shape == (4, 5, 3)
    scale = 1 if dtype is np.uint8 else 1 / 200
    assert colours[0, 0].tolist() == [200 * scale, 100 * scale, 0]
    equal = np.broadcast_to(images[:, :1], images.shape)  # equal channels, of stride 0
    grey: Any = draw_slices(equal, np.arange(2), ["a", "b"], "Slices").axes[1].images[0]
    assert grey.get_array().shape == (4, 5)
