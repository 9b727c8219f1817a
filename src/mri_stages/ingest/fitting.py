"""Bring images to one size: stretched, or with their aspect ratio kept, padded or cropped."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mri_stages.ingest.import_options import Fit, PixelOptions

FIT_NOTES = {
    Fit.STRETCH: "are stretched to another aspect ratio; --fit pad or --fit crop keeps it",
    Fit.PAD: "are padded with black: their aspect ratio is another",
    Fit.CROP: "are cropped: their aspect ratio is another",
}


def fit_image(
    pixels: NDArray[np.uint8], options: PixelOptions, notes: Counter[str]
) -> NDArray[np.uint8]:
    """Return pixels (3, H, W) in the size that the options ask for; count in `notes` how.

    Without such a size they are returned as they are.
    """
    if options.resize is None:
        return pixels
    _, height, width = pixels.shape
    if scale_size((height, width), options.resize, Fit.PAD) != options.resize:
        notes[FIT_NOTES[options.fit]] += 1
    return fit_pixels(pixels, options.resize, options.fit)


def fit_pixels(
    pixels: NDArray[np.uint8], size: Sequence[int], fit: Fit = Fit.STRETCH
) -> NDArray[np.uint8]:
    """Return pixels (3, H, W) brought to `size`, a height and a width.

    `pad` puts the whole image in the middle of a black one. `crop` cuts off its sides, as much on
    the left (or above) as on the right (or below).
    """
    height, width = size
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    scaled_height, scaled_width = scale_size((image.height, image.width), (height, width), fit)
    scaled = image.resize((scaled_width, scaled_height), Image.Resampling.BILINEAR)

    # A box that is larger than the image is filled with black.
    left = (scaled_width - width) // 2
    top = (scaled_height - height) // 2
    fitted = scaled.crop((left, top, left + width, top + height))
    return np.asarray(fitted).transpose(2, 0, 1)


def scale_size(size: Sequence[int], target: tuple[int, int], fit: Fit) -> tuple[int, int]:
    """Return the height and width to which an image of `size` is scaled, before pad or crop."""
    if fit == Fit.STRETCH:
        return target
    height, width = size
    target_height, target_width = target
    factors = (target_height / height, target_width / width)
    factor = min(factors) if fit == Fit.PAD else max(factors)
    return max(1, round(height * factor)), max(1, round(width * factor))
