import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from src.arrays import (
    Form,
    FormError,
    forms,
    pixels,
    read_array,
    read_images,
    stored_rows,
    write_array,
)
from src.cli import InputError
from src.files import read_csv, replacing, write_csv, write_json


def test_an_error_leaves_what_stood_there_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as partial:
        partial.write_text("half \udcff", encoding="utf-8")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_read_only_link_into_the_cache_is_replaced_and_the_cache_stays(tmp_path: Path) -> None:
    cached = tmp_path / "cached"
    cached.write_bytes(b"old")
    cached.chmod(0o444)
    (tmp_path / "out").hardlink_to(cached)
    with replacing(tmp_path / "out") as partial:
        partial.write_bytes(b"new")
    assert (tmp_path / "out").read_bytes() == b"new"
    assert cached.read_bytes() == b"old"


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("first", "second"):
        with replacing(out) as partial:
            partial.mkdir()
            (partial / name).touch()
    assert [path.name for path in out.iterdir()] == ["second"]


def test_what_a_dead_process_left_goes_and_what_another_writes_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    own, dead, other = (f"out.{pid}.partial" for pid in (os.getpid(), ended.pid, os.getppid()))
    for name in (
        own,
        dead,
        f"out.{ended.pid}.old.partial",
        other,
        "out.mine.partial",
        "a.1.partial",
    ):
        (tmp_path / name).mkdir()
    with replacing(tmp_path / "out") as partial:
        partial.touch()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"out", other, "out.mine.partial", "a.1.partial"}


def test_json_is_strict_and_csv_reads_back_exactly(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())
    write_csv(tmp_path / "a.csv", ["epoch", "loss"], [(0, 0.1), (1, float("nan"))])
    assert read_csv(tmp_path / "a.csv") == [
        {"epoch": "0", "loss": "0.1"},
        {"epoch": "1", "loss": "nan"},
    ]
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


def test_an_array_in_parts_is_numpys_own_file(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(6, 4)
    write_array(tmp_path / "parts.npy", array.shape, array.dtype, [array[:4], array[4:]])
    np.save(tmp_path / "whole.npy", array)
    assert (tmp_path / "parts.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_a_cut_array_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.npy"
    np.save(path, np.zeros(1000))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"cut.npy: no whole .npy array"):
        read_array(path)


GREY = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 6)).astype(np.float32) / np.float32(255)
COLOUR = np.random.default_rng(1).integers(0, 256, (5, 3, 4, 6)).astype(np.float32) / np.float32(
    255
)


@pytest.mark.parametrize(
    ("images", "form"),
    [
        (GREY.repeat(3, 1), Form(1, "uint8")),
        (COLOUR, Form(3, "uint8")),
        (GREY.repeat(3, 1) * np.float32(1.1), Form(1, "float32")),
        (COLOUR - 1, Form(3, "float32")),
        (GREY, Form(1, "uint8")),
    ],
)
def test_images_are_stored_in_the_smallest_form_that_gives_them_back(
    tmp_path: Path, images: np.ndarray, form: Form
) -> None:
    path = tmp_path / "x.npy"
    for tried in forms(images.shape[1]):
        try:
            rows = stored_rows(images, tried)
        except FormError:
            continue
        break
    assert tried == form
    write_array(path, rows.shape, form.dtype, [rows])
    channels, height, width = images.shape[1:]
    read = read_images(path, (channels, height, width))
    assert read.shape == images.shape
    np.testing.assert_array_equal(pixels(read), images)
    with pytest.raises(InputError, match="expected rows of images"):
        read_images(path, (channels, height, width + 1))


LEVELS = [np.float32(k) / np.float32(255) for k in (0, 1, 2, 127, 254, 255)]
ANY_PIXEL = st.one_of(st.sampled_from(LEVELS), st.floats(width=32, allow_nan=False))


@given(arrays(np.float32, array_shapes(min_dims=4, max_dims=4, max_side=3), elements=ANY_PIXEL))
def test_whatever_form_takes_an_image_gives_it_back(images: np.ndarray) -> None:
    n_rows, channels, height, width = images.shape
    taken = []
    for form in forms(channels):
        try:
            rows = stored_rows(images, form)
        except FormError:
            continue
        taken.append(form)
        back = pixels(rows).reshape(n_rows, form.channels, height, width)
        np.testing.assert_array_equal(np.broadcast_to(back, images.shape), images)
    assert Form(channels, "float32") in taken


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5, 0.5])
def test_a_pixel_that_is_no_grey_level_is_none(value: float) -> None:
    images = GREY.copy()
    images[4, 0, 3, 5] = value
    with pytest.raises(FormError):
        stored_rows(images, Form(1, "uint8"))
