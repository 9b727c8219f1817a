"""The flow of the data: boxes and arrows from the files to the folds."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mri_stages.plotting.style import BLUE, GREY
from mri_stages.plotting.text import wrap_text

WIDTH = 4.0  # inches
MARGIN = 0.1  # inches, around the picture and within boxes
GAP = 0.35  # inches between boxes: the length of an arrow
LINE_HEIGHT = 0.19  # inches
FONT_SIZE = 10  # points


class Box(NamedTuple):
    """A box of a level."""

    text: str
    is_end: bool = False  # whether nothing follows from it, as from what is left out


Level = Sequence[Box]  # side by side


def draw_flow(levels: Sequence[Level]) -> Figure:
    """Return a picture of the levels from top to bottom."""
    wrapped_levels = [wrap_level(boxes) for boxes in levels]
    heights = [measure_height(boxes) for boxes in wrapped_levels]
    height = sum(heights) + GAP * (len(levels) - 1) + 2 * MARGIN
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(0, height)
    axes.axis("off")

    top = height - MARGIN
    earlier_middles: list[float] = []
    for boxes, level_height in zip(wrapped_levels, heights, strict=True):
        middles = draw_level(axes, boxes, top, level_height)
        for start in earlier_middles:
            for end in middles:
                draw_arrow(axes, (start, top + GAP), (end, top))
        earlier_middles = [
            middle for middle, box in zip(middles, boxes, strict=True) if not box.is_end
        ]
        top -= level_height + GAP
    return figure


def measure_box_width(n_boxes: int) -> float:
    """Return the inches of each box of a level."""
    return (WIDTH - MARGIN * (n_boxes + 1)) / n_boxes


def wrap_level(boxes: Level) -> list[Box]:
    """Return the boxes with texts that fit into their width."""
    width = measure_box_width(len(boxes)) - 2 * MARGIN
    return [box._replace(text=wrap_text(box.text, width, FONT_SIZE)) for box in boxes]


def measure_height(boxes: Level) -> float:
    """Return the inches that the highest of these wrapped texts needs in its box."""
    n_lines = max(box.text.count("\n") + 1 for box in boxes)
    return n_lines * LINE_HEIGHT + 2 * MARGIN


def draw_level(axes: Axes, boxes: Level, top: float, height: float) -> list[float]:
    """Draw the boxes of a level side by side, and return the middle of each in inches."""
    width = measure_box_width(len(boxes))
    middles = []
    for place, box in enumerate(boxes):
        left = MARGIN + place * (width + MARGIN)
        colour = GREY if box.is_end else BLUE
        frame = Rectangle((left, top - height), width, height, fill=False, edgecolor=colour)
        axes.add_patch(frame)
        middle = left + width / 2
        axes.text(
            *(middle, top - height / 2, box.text),
            ha="center",
            va="center",
            fontsize=FONT_SIZE,
            parse_math=False,
        )
        middles.append(middle)
    return middles


def draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    arrow = {"arrowstyle": "->", "color": GREY, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=end, xytext=start, arrowprops=arrow)
