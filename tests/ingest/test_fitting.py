"""Images brought to one size."""

import numpy as np
import pytest

from mri_stages.ingest.fitting import fit_pixels


def test_fit_pixels_stretches_to_height_and_width() -> None:
    pixels = np.tile(np.array([[0, 200]] * 4, np.uint8), (3, 1, 1))
    fitted = fit_pixels(pixels, (2, 4))
    assert fitted.shape == (3, 2, 4)
    assert fitted[0].tolist() == [[0, 50, 150, 200]] * 2


def test_fit_pixels_without_memory_does_not_blame_the_file() -> None:
    with pytest.raises(MemoryError):
        fit_pixels(np.zeros((3, 2, 2), np.uint8), (2, 2**31 - 1))  # longer than a row may be
