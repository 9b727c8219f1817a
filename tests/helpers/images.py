"""Images of a few random pixels, encoded as files."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (8, 6), np.uint8)
COLOUR = RNG.integers(0, 256, (8, 6, 3), np.uint8)
OPAQUE = np.insert(COLOUR, 3, 255, axis=2)  # with an alpha channel


def encode_image(
    image: Image.Image | np.ndarray, image_format: str = "png", **options: Any
) -> bytes:
    """Return the bytes of an image file."""
    file = BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(file, image_format, **options)
    return file.getvalue()


def flip_bit(data: bytes, position: int) -> bytes:
    """Return `data` with the lowest bit of one byte inverted."""
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


PNG = encode_image(GREY)
JPEG = encode_image(COLOUR, "jpeg")
