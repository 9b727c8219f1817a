"""The picture of the data: the notebook's slice, and one slice of each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

NOTEBOOK_ROW = 500
MOST = 11  # slices; more of them are too small to see
WIDTH = 2.3  # inches per slice


def slice_figure(images: NDArray[Any], labels: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Return channel 0 of training row 500 (or of the last), then of the first row of each class.

    images: (N, C, H, W) uint8 or float32; labels: (N,) int64.
    """
    _, firsts = np.unique(labels, return_index=True)
    rows = [min(NOTEBOOK_ROW, len(images) - 1), *firsts][:MOST]
    height = WIDTH * min(3, images.shape[2] / images.shape[3])
    figure = Figure(figsize=(WIDTH * len(rows), height + 0.6), layout="constrained")
    for axes, row in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        axes.imshow(images[row, 0], cmap="cividis")
        axes.set_title(f"row {row}:\n{classes[labels[row]]}", fontsize=9, parse_math=False)
        axes.axis("off")
    figure.suptitle("Training slices: one row, then one of each class", fontsize=11)
    return figure
