"""The picture of the data: the notebook's row, and one image of each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

NOTEBOOK_ROW = 500
MOST = 11  # images; more of them are too small to see
WIDTH = 2.3  # inches per image


def draw_slices(
    images: NDArray[Any], labels: NDArray[np.int64], classes: Sequence[str], title: str
) -> Figure:
    """Return training row 500 (or the last), then the first row of each class.

    images: (N, C, H, W) uint8 or float32, in colour if they have three different channels.
    """
    _, firsts = np.unique(labels, return_index=True)
    rows = [min(NOTEBOOK_ROW, len(images) - 1), *firsts][:MOST]
    in_colour = images.shape[1] == 3 and images.strides[1] != 0
    height = WIDTH * min(3, images.shape[2] / images.shape[3])
    figure = Figure(figsize=(WIDTH * len(rows), height + 0.6), layout="constrained")
    for axes, row in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        image = images[row].transpose(1, 2, 0) if in_colour else images[row, 0]
        if in_colour and image.dtype != np.uint8:  # of colours, imshow takes 0 to 1
            image = (image - image.min()) / (np.ptp(image) or 1)
        axes.imshow(image, cmap="cividis")
        axes.set_title(f"row {row}:\n{classes[labels[row]]}", fontsize=9, parse_math=False)
        axes.axis("off")
    title += ": one training row, then one of each class"
    figure.suptitle(title, fontsize=11, parse_math=False)
    return figure
