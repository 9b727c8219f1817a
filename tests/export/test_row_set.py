"""Figures of a set of rows, and the hash of a row."""

import numpy as np
import pytest

from mri_stages.export.row_set import describe_rows, describe_stored_rows, hash_image
from mri_stages.storage.arrays import to_pixels, view_as_images
from mri_stages.storage.dataset import LabelledImages

LEVELS = np.arange(20, dtype=np.uint8).reshape(1, 4, 5)


def test_hash_of_equal_pixels_is_equal_however_stored() -> None:
    pixels = to_pixels(LEVELS)
    stored = view_as_images(LEVELS.reshape(1, -1), (3, 4, 5))  # one channel for three
    expanded = np.repeat(pixels, 3, axis=0)
    assert hash_image(to_pixels(stored)[0]) == hash_image(expanded)


def test_hash_takes_zero_and_minus_zero_as_equal() -> None:
    assert hash_image(np.zeros((1, 2, 2), np.float32)) == hash_image(
        -np.zeros((1, 2, 2), np.float32)
    )


def test_hash_of_other_pixels_differs() -> None:
    pixels = to_pixels(LEVELS)
    other = pixels.copy()
    other[0, 3, 4] = np.nextafter(other[0, 3, 4], np.float32(1))
    assert hash_image(pixels) != hash_image(other)


def test_hash_is_the_documented_one() -> None:
    """Its first bytes are those of `printf '\\x00\\x00\\x80\\x3f' | sha256sum`."""
    assert hash_image(np.ones((1, 1, 1), np.float32)) == int.from_bytes(
        bytes.fromhex("e00e5eb9444182f3"), "little"
    )


def test_figures_of_rows_in_chunks() -> None:
    images = np.random.default_rng(0).normal(3, 2, (7, 2, 3, 4)).astype(np.float32)
    figures = describe_rows(
        [images[:3], images[3:]],
        np.array([0, 2, 0, 0, 2, 2, 0]),
        np.arange(7) // 2,
        ["a", "b", "c"],
    ).figures
    assert figures.rows == 7
    assert figures.subjects == 4
    assert figures.class_counts == {"a": 4, "b": 0, "c": 3}
    assert (figures.darkest, figures.brightest) == (images.min(), images.max())
    assert figures.mean == pytest.approx(images.mean(), rel=1e-5)
    assert figures.deviation == pytest.approx(images.std(), rel=1e-5)
    assert not figures.has_unit_range


def test_figures_of_stored_grey_levels_are_of_pixels() -> None:
    images = np.full((2, 1, 4, 5), 51, np.uint8)
    rows = LabelledImages(images, np.array([0, 1]), None)
    row_set = describe_stored_rows(rows, ["a", "b"], "rows")
    assert row_set.figures.mean == pytest.approx(0.2)
    assert row_set.figures.deviation == pytest.approx(0, abs=1e-6)
    assert row_set.figures.has_unit_range
    assert row_set.figures.to_json().get("subjects") is None
    assert row_set.hashes.tolist() == [hash_image(to_pixels(image)) for image in images]
