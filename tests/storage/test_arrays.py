import os
from pathlib import Path

import numpy as np
import pytest

from mri_stages.errors import InputError
from mri_stages.storage import arrays
from mri_stages.storage.arrays import (
    FormatError,
    encode_rows,
    read_integers,
    read_rows,
    to_pixels,
    view_as_images,
)

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 1, 4, 6)).astype(np.float32) / np.float32(255)
COLOUR = RNG.integers(0, 256, (5, 3, 4, 6)).astype(np.float32) / np.float32(255)


def test_write_array_in_chunks_is_numpys_own_file(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(6, 4)
    arrays.write_array(tmp_path / "chunks.npy", array.shape, array.dtype, [array[:4], array[4:]])
    np.save(tmp_path / "whole.npy", array)
    assert (tmp_path / "chunks.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_read_array_of_a_cut_or_missing_file_names_it(tmp_path: Path) -> None:
    np.save(tmp_path / "cut.npy", np.zeros(1000))
    os.truncate(tmp_path / "cut.npy", 500)
    for name in ("cut.npy", "gone.npy"):
        with pytest.raises(InputError, match=name):
            arrays.read_array(tmp_path / name)


@pytest.mark.parametrize(
    ("images", "expected"),
    [(GREY, (1, "uint8")), (GREY.repeat(3, 1), (1, "uint8")), (COLOUR, (3, "uint8")),
     (GREY.repeat(3, 1) / 2, (1, "float32")), (COLOUR / 2, (3, "float32")),
     *((np.where(GREY.max() == GREY, value, GREY), (1, "float32"))
       for value in (np.nan, np.inf, 1e38, -0.5, 1.5, np.nextafter(GREY.max(), 0)))],
)  # fmt: skip
def test_stored_rows_in_the_smallest_format_read_back_as_the_images(
    tmp_path: Path, images: np.ndarray, expected: tuple[int, str]
) -> None:
    channels, height, width = images.shape[1:]
    for form in arrays.list_storage_formats(channels):  # the smallest first
        if form == expected:
            break
        with pytest.raises(FormatError):
            encode_rows(images, form)
    path, rows = tmp_path / "x.npy", encode_rows(images, form)
    arrays.write_array(path, rows.shape, form.dtype, [rows])
    read = view_as_images(read_rows(path, (channels, height, width)), (channels, height, width))
    np.testing.assert_array_equal(to_pixels(read), images)


@pytest.mark.parametrize(("n_rows", "row_bytes"), [(1, 1), (10, 2**19), (5, 2**30), (7, 2**18 + 1)])
def test_row_slices_cover_each_row_once_in_order(n_rows: int, row_bytes: int) -> None:
    slices = list(arrays.iterate_chunks(n_rows, row_bytes, "test"))
    assert [i for part in slices for i in range(n_rows)[part]] == list(range(n_rows))
    assert all((part.stop - part.start) * row_bytes <= max(2**20, row_bytes) for part in slices)


def test_select_rows_of_both_parts_in_any_order() -> None:
    parts = [np.arange(6).reshape(3, 2), np.arange(100, 104).reshape(2, 2)]
    rows = arrays.select_rows(parts, np.array([4, 0, 3, 2, 4]))
    assert rows.tolist() == [[102, 103], [0, 1], [100, 101], [4, 5], [102, 103]]


def test_select_rows_is_a_copy() -> None:
    part = np.zeros((2, 2))
    arrays.select_rows([part], np.array([0]))[:] = 1
    assert part.sum() == 0


@pytest.mark.parametrize("labels", [[0, 2], [1, 1]])
def test_read_integers_gives_labels_below_the_number(tmp_path: Path, labels: list[int]) -> None:
    np.save(tmp_path / "y.npy", np.array(labels))
    assert read_integers(tmp_path / "y.npy", 2, 3).tolist() == labels


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0, 1, 2]])
def test_read_integers_names_other_labels(tmp_path: Path, labels: list[int]) -> None:
    np.save(tmp_path / "y.npy", np.array(labels))
    with pytest.raises(InputError, match=r"y\.npy"):
        read_integers(tmp_path / "y.npy", 2, 3)


def test_read_integers_takes_any_ids(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.array([-5, 900]))
    assert read_integers(tmp_path / "ids.npy", 2).tolist() == [-5, 900]
