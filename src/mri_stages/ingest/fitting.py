"""Bring images to one size."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def fit_pixels(pixels: NDArray[np.uint8], size: Sequence[int]) -> NDArray[np.uint8]:
    """Return pixels (3, H, W) stretched to `size`, a height and a width."""
    height, width = size
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized).transpose(2, 0, 1)
