"""The picture of the data: the notebook's row, and one image of each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

NOTEBOOK_ROW = 500
MAX_IMAGES = 11  # more of them are too small to see
IMAGE_WIDTH = 2.3  # inches
MAX_HEIGHT_RATIO = 3  # of the space for an image to its width
TITLE_HEIGHT = 0.6  # inches


def draw_slices(
    images: NDArray[Any], labels: NDArray[np.int64], classes: Sequence[str], title: str
) -> Figure:
    """Return training row 500 (or the last), then the first row of each class.

    images: (N, C, H, W) uint8 or float32, in colour if they have three different channels.
    """
    _, first_rows = np.unique(labels, return_index=True)
    notebook_row = min(NOTEBOOK_ROW, len(images) - 1)
    indices = [notebook_row, *first_rows][:MAX_IMAGES]

    _, n_channels, image_height, image_width = images.shape
    has_equal_channels = images.strides[1] == 0
    is_colour = n_channels == 3 and not has_equal_channels
    height = IMAGE_WIDTH * min(MAX_HEIGHT_RATIO, image_height / image_width) + TITLE_HEIGHT
    figure = Figure(figsize=(IMAGE_WIDTH * len(indices), height), layout="constrained")
    panels = figure.subplots(1, len(indices), squeeze=False)[0]

    for axes, index in zip(panels, indices, strict=True):
        image = convert_to_colour(images[index]) if is_colour else images[index, 0]
        axes.imshow(image, cmap="cividis")
        axes.set_title(f"row {index}:\n{classes[labels[index]]}", fontsize=9, parse_math=False)
        axes.axis("off")
    figure.suptitle(
        f"{title}: one training row, then one of each class", fontsize=11, parse_math=False
    )
    return figure


def convert_to_colour(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image (3, H, W) as imshow takes it: (H, W, 3) uint8, or float32 from 0 to 1."""
    colours = image.transpose(1, 2, 0)
    if colours.dtype == np.uint8:
        return colours
    value_range = np.ptp(colours) or 1
    scaled: NDArray[Any] = (colours - colours.min()) / value_range
    return scaled
