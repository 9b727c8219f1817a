"""The picture of the data: the notebook's slice, and one slice of each class."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

NOTEBOOK_ROW = 500


def slice_figure(images: NDArray[Any], y: NDArray[np.int64], classes: list[str]) -> Figure:
    """Channel 0 of training row 500 (or the last there is), then the first row of each class.

    images: (N, C, H, W) uint8 or float32; y: (N,) int64.
    """
    shown = {f"row {(row := min(NOTEBOOK_ROW, len(images) - 1))}: {classes[y[row]]}": row}
    # Ten classes at most: beyond that the pictures are too small to see.
    for label in np.unique(y)[:10]:
        shown[f"{classes[label]}\n(row {np.argmax(y == label)})"] = int(np.argmax(y == label))
    figure = Figure(figsize=(2.3 * len(shown), 3.4), layout="constrained")
    for axes, (title, row) in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True
    ):
        axes.imshow(images[row, 0], cmap="cividis")
        axes.set_title(title, fontsize=9, parse_math=False)
        axes.axis("off")
    figure.suptitle(
        "Training slices: the row that the course notebook shows (or the last), and the first of "
        "each class",
        fontsize=11,
    )
    return figure
