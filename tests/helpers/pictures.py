"""Where the parts of a picture lie, as the renderer places them."""

from itertools import combinations
from typing import Any

from matplotlib.figure import Figure

# Read as mathematics, the dollars would be an error when the picture is drawn.
DOLLARS = r"$\frac$"
LONG_TITLE = f"Slices {DOLLARS} of " + "W" * 60
LONG_NAMES = ["m" * 60 + "_first", "m" * 60 + "_second"]


def list_layout_faults(figure: Figure) -> list[str]:
    """Return what leaves the canvas, and which titles, legends and panels cover each other."""
    figure.draw_without_rendering()
    figure.draw_without_rendering()  # a saved figure is laid out twice too
    faults = []
    drawn = figure.get_tightbbox()
    canvas = figure.bbox_inches
    if min(drawn.x0, drawn.y0, canvas.x1 - drawn.x1, canvas.y1 - drawn.y1) < -0.01:
        faults.append(f"{drawn} leaves {canvas}")

    boxes = {f"legend {place}": box.get_window_extent() for place, box in enumerate(figure.legends)}
    for place, axes in enumerate(figure.axes):
        boxes[f"panel {place}"] = axes.get_window_extent()
    for title in list_titles(figure):
        boxes[f"title {title.get_text()}"] = title.get_window_extent()
    faults += [
        f"{first} covers {second}"
        for first, second in combinations(boxes, 2)
        if boxes[first].overlaps(boxes[second])
    ]
    return faults


def list_titles(figure: Figure) -> list[Any]:
    """Return the title of the figure and those of its panels, where they have any."""
    titles: list[Any] = [axes.title for axes in figure.axes]
    titles.append(getattr(figure, "_suptitle", None))
    return [title for title in titles if title is not None and title.get_text()]


def shows_shares(limits: tuple[float, float]) -> bool:
    """Return whether an axis of these limits shows the shares from 0 to 1, and little more."""
    low, high = limits
    return -0.1 < low <= 0 and 1 <= high < 1.1
