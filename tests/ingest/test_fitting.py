"""Images brought to one size."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from mri_stages.ingest.fitting import fit_image, fit_pixels
from mri_stages.ingest.import_options import Fit, PixelOptions

# Two columns of four pixels, each of one grey level.
TALL = np.tile(np.array([[60, 200]] * 4, np.uint8), (3, 1, 1))


def fit_grey(size: tuple[int, int], fit: Fit, pixels: NDArray[np.uint8] = TALL) -> list[list[int]]:
    """Return the first channel of the image in this size."""
    levels: list[list[int]] = fit_pixels(pixels, size, fit)[0].tolist()
    return levels


def test_fit_pixels_stretches_to_height_and_width() -> None:
    pixels = np.tile(np.array([[0, 200]] * 4, np.uint8), (3, 1, 1))
    fitted = fit_pixels(pixels, (2, 4))
    assert fitted.shape == (3, 2, 4)
    assert fitted[0].tolist() == [[0, 50, 150, 200]] * 2


def test_fit_pixels_pads_both_sides_with_black() -> None:
    assert fit_grey((4, 6), Fit.PAD) == [[0, 0, 60, 200, 0, 0]] * 4


def test_fit_pixels_pads_above_and_below() -> None:
    wide = TALL.transpose(0, 2, 1)
    assert fit_grey((4, 4), Fit.PAD, wide) == [[0] * 4, [60] * 4, [200] * 4, [0] * 4]


def test_fit_pixels_crops_above_and_below() -> None:
    rows = np.tile(np.arange(0, 120, 20, dtype=np.uint8)[:, None], (3, 1, 2))
    assert fit_grey((2, 2), Fit.CROP, rows) == [[40, 40], [60, 60]]


def test_fit_pixels_crops_both_sides() -> None:
    columns = np.tile(np.arange(0, 120, 20, dtype=np.uint8), (3, 2, 1))
    assert fit_grey((2, 2), Fit.CROP, columns) == [[40, 60]] * 2


@pytest.mark.parametrize("fit", [Fit.PAD, Fit.CROP])
def test_fit_pixels_keeps_the_aspect_ratio(fit: Fit) -> None:
    # A square of 8 x 8 in the middle, of which both sides are scaled alike.
    pixels = np.zeros((3, 24, 16), np.uint8)
    pixels[:, 8:16, 4:12] = 255
    bright = fit_pixels(pixels, (48, 48), fit)[0] > 127
    assert bright.any(axis=0).sum() == bright.any(axis=1).sum()


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (7, 5)])
def test_fit_pixels_gives_the_size_of_any_shape(fit: Fit, shape: tuple[int, int]) -> None:
    assert fit_pixels(np.zeros((3, *shape), np.uint8), (4, 6), fit).shape == (3, 4, 6)


def test_fit_pixels_without_memory_does_not_blame_the_file() -> None:
    with pytest.raises(MemoryError):
        fit_pixels(np.zeros((3, 2, 2), np.uint8), (2, 2**31 - 1))  # longer than a row may be


def test_fit_image_without_a_size_keeps_the_pixels() -> None:
    assert fit_image(TALL, PixelOptions(), Counter()) is TALL


@pytest.mark.parametrize("fit", list(Fit))
def test_fit_image_counts_another_aspect_ratio(fit: Fit) -> None:
    notes = Counter[str]()
    fit_image(TALL, PixelOptions(resize=(5, 5), fit=fit), notes)
    assert notes.total() == 1


@pytest.mark.parametrize("fit", list(Fit))
def test_fit_image_of_the_same_ratio_notes_nothing(fit: Fit) -> None:
    notes = Counter[str]()
    fit_image(TALL, PixelOptions(resize=(8, 4), fit=fit), notes)
    assert not notes


def test_resize_to_more_pixels_than_memory_holds_is_refused() -> None:
    PixelOptions(resize=(8192, 8192))
    with pytest.raises(ValueError, match="expected at most"):
        PixelOptions(resize=(65536, 65536))
