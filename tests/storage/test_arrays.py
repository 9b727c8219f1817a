from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from src.cli import InputError
from src.storage import arrays
from src.storage.arrays import FormatError, StorageFormat, as_images, pixels, read_rows, stored_rows

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 1, 4, 6)).astype(np.float32) / np.float32(255)
COLOUR = RNG.integers(0, 256, (5, 3, 4, 6)).astype(np.float32) / np.float32(255)


def test_write_array_in_chunks_is_numpys_own_file(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(6, 4)
    arrays.write_array(tmp_path / "chunks.npy", array.shape, array.dtype, [array[:4], array[4:]])
    np.save(tmp_path / "whole.npy", array)
    assert (tmp_path / "chunks.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_read_array_of_a_cut_or_missing_file_names_it(tmp_path: Path) -> None:
    path = tmp_path / "cut.npy"
    np.save(path, np.zeros(1000))
    path.write_bytes(path.read_bytes()[:500])
    for name in ("cut.npy", "gone.npy"):
        with pytest.raises(InputError, match=name):
            arrays.read_array(tmp_path / name)


def smallest(images: np.ndarray) -> tuple[StorageFormat, np.ndarray]:
    for tried in arrays.storage_formats(images.shape[1]):
        try:
            return tried, stored_rows(images, tried)
        except FormatError:
            pass
    raise AssertionError("no format fits")


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (GREY, (1, "uint8")),
        (GREY.repeat(3, 1), (1, "uint8")),
        (COLOUR, (3, "uint8")),
        (GREY.repeat(3, 1) * np.float32(1.1), (1, "float32")),
        (COLOUR - 1, (3, "float32")),
    ],
)
def test_stored_rows_in_the_smallest_format_read_back_as_the_images(
    tmp_path: Path, images: np.ndarray, expected: tuple[int, str]
) -> None:
    path = tmp_path / "x.npy"
    found, rows = smallest(images)
    assert found == expected
    arrays.write_array(path, rows.shape, found.dtype, [rows])
    channels, height, width = images.shape[1:]
    read = as_images(read_rows(path, (channels, height, width)), (channels, height, width))
    np.testing.assert_array_equal(pixels(read), images)
    for other in ((channels, height, width + 1), (channels, height - 1, width)):
        with pytest.raises(InputError, match=r"x\.npy"):
            read_rows(path, other)


LEVELS = [np.float32(k) / np.float32(255) for k in (0, 1, 2, 127, 254, 255)]
ANY_PIXEL = st.one_of(st.sampled_from(LEVELS), st.floats(width=32, allow_nan=False))


FOUR_AXES = of_numpy.array_shapes(min_dims=4, max_dims=4, max_side=3)


@given(of_numpy.arrays(np.float32, FOUR_AXES, elements=ANY_PIXEL))
def test_stored_rows_of_any_images_give_them_back(images: np.ndarray) -> None:
    found, rows = smallest(images)
    channels, height, width = images.shape[1:]
    assert rows.dtype == found.dtype
    np.testing.assert_array_equal(pixels(as_images(rows, (channels, height, width))), images)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5, 0.5])
def test_stored_rows_of_a_pixel_that_is_not_a_grey_level_are_refused(value: float) -> None:
    images = GREY.copy()
    images[4, 0, 3, 5] = value
    with pytest.raises(FormatError):
        stored_rows(images, StorageFormat(1, "uint8"))


@pytest.mark.parametrize(
    "array",
    [np.arange(4), np.arange(3.0), np.arange(3, dtype=np.int32), np.arange(3)[:, None],
     np.array([0, 1, 3]), np.array([0, -1, 2])],
)  # fmt: skip
def test_read_numbers_of_other_labels_names_the_file(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "y.npy", np.arange(3))
    assert arrays.read_numbers(tmp_path / "y.npy", 3, 3).tolist() == [0, 1, 2]
    np.save(tmp_path / "y.npy", array)
    with pytest.raises(InputError, match=r"y\.npy"):
        arrays.read_numbers(tmp_path / "y.npy", 3, 3)


@pytest.mark.parametrize(("n_rows", "row_bytes"), [(1, 1), (10, 2**19), (5, 2**30), (7, 2**18 + 1)])
def test_row_slices_cover_each_row_once_in_order(n_rows: int, row_bytes: int) -> None:
    slices = list(arrays.row_slices(n_rows, row_bytes, "test"))
    assert [i for part in slices for i in range(n_rows)[part]] == list(range(n_rows))
    assert all((part.stop - part.start) * row_bytes <= max(2**20, row_bytes) for part in slices)
