import numpy as np
import pytest

from src.plotting.slices import slice_figure


@pytest.mark.parametrize(("n_rows", "row"), [(30, 29), (501, 500), (600, 500)])
def test_slice_figure_shows_row_500_or_the_last_and_each_class(n_rows: int, row: int) -> None:
    images = np.arange(n_rows * 24, dtype=np.float32).reshape(n_rows, 2, 3, 4)
    figure = slice_figure(images, np.arange(n_rows) % 2, ["ill", "sane"])
    for axes, expected in zip(figure.axes, [row, 0, 1], strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[expected, 0])
        assert axes.get_title() == f"row {expected}:\n{['ill', 'sane'][expected % 2]}"
