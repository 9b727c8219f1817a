"""The picture of the data: the notebook's row, and one image of each class."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mri_stages.plotting.text import label_names, measure_extra_height, wrap_text

NOTEBOOK_ROW = 500

# Of the space for an image to its width.
MIN_HEIGHT_RATIO = 0.2
MAX_HEIGHT_RATIO = 3

TITLE_SIZE = 11  # points


class Grid(NamedTuple):
    """How the images are laid out."""

    n_columns: int
    image_width: float  # inches
    font_size: float  # points, of the text above each image
    text_height: float  # inches, of that text
    title_height: float  # inches, of the title of the figure


ONE_ROW = Grid(6, 2.3, 9, text_height=0.3, title_height=0.3)
TWO_ROWS = Grid(6, 2.3, 9, text_height=0.45, title_height=0.4)
MANY_ROWS = Grid(11, 1.4, 8, text_height=0.45, title_height=0.4)
MAX_IMAGES = 154  # more of them make a page that is too long


def draw_slices(
    images: NDArray[Any], labels: NDArray[np.int64], classes: Sequence[str], title: str
) -> Figure:
    """Return training row 500 (or the last), then the first row of each class.

    images: (N, C, H, W) uint8 or float32, in colour if they have three different channels.
    """
    _, first_rows = np.unique(labels, return_index=True)
    notebook_row = min(NOTEBOOK_ROW, len(images) - 1)
    indices = [notebook_row, *first_rows][:MAX_IMAGES]

    n_channels = images.shape[1]
    has_equal_channels = images.strides[1] == 0
    is_colour = n_channels == 3 and not has_equal_channels
    text = f"{title}: one training row, then one of {_count_classes(len(indices), len(first_rows))}"
    if n_channels > 1 and not is_colour and not has_equal_channels:
        text += f"; the first of {n_channels} channels"

    grid = choose_grid(len(indices))
    figure = _make_figure(grid, len(indices), images.shape[2] / images.shape[3], text)
    names = label_names(classes, "class", grid.image_width - 0.15, grid.font_size)
    for axes, index in zip(figure.axes, indices, strict=False):
        image = convert_to_colour(images[index]) if is_colour else images[index, 0]
        axes.imshow(image, cmap="cividis")
        name = names[classes[labels[index]]]
        axes.set_title(f"row {index}:\n{name}", fontsize=grid.font_size, parse_math=False)
    return figure


def choose_grid(n_images: int) -> Grid:
    """Return the layout whose text stays readable when the page shows the picture smaller."""
    if n_images <= ONE_ROW.n_columns:
        return ONE_ROW
    if n_images <= 2 * TWO_ROWS.n_columns:
        return TWO_ROWS
    return MANY_ROWS


def _count_classes(n_images: int, n_classes: int) -> str:
    """Return which classes the images after the first one show."""
    n_shown = n_images - 1
    return "each class" if n_shown == n_classes else f"the first {n_shown} of {n_classes} classes"


def _make_figure(grid: Grid, n_images: int, height_ratio: float, title: str) -> Figure:
    """Return a figure with its title, and with panels without axes for the images.

    height_ratio: the height of an image to its width.
    """
    n_columns = min(grid.n_columns, n_images)
    n_rows = math.ceil(n_images / n_columns)
    width = grid.image_width * n_columns
    wrapped_title = wrap_text(title, width - 0.2, TITLE_SIZE)

    shown_ratio = min(MAX_HEIGHT_RATIO, max(MIN_HEIGHT_RATIO, height_ratio))
    row_height = grid.image_width * shown_ratio + grid.text_height
    height = n_rows * row_height + grid.title_height + measure_extra_height(wrapped_title)

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(wrapped_title, fontsize=TITLE_SIZE, parse_math=False)
    for axes in figure.subplots(n_rows, n_columns, squeeze=False).ravel():
        axes.axis("off")
    return figure


def convert_to_colour(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image (3, H, W) as imshow takes it: (H, W, 3) uint8, or float32 from 0 to 1."""
    colours = image.transpose(1, 2, 0)
    if colours.dtype == np.uint8:
        return colours
    value_range = np.ptp(colours) or 1
    scaled: NDArray[Any] = (colours - colours.min()) / value_range
    return scaled
