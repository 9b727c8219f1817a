"""Shared by all pictures: one palette, and how a picture is saved."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from mri_stages.storage.files import write_bytes

# Okabe and Ito (2008): colour-blind readers can tell these colours apart too.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
SKY_BLUE = "#56B4E9"
VERMILION = "#D55E00"
BLACK = "#000000"
GREY = "#666666"

PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY_BLUE, VERMILION, BLACK)
DIVERGED_COLOUR = VERMILION
REFERENCE_COLOUR = GREY  # of baselines, and of reference lines

DOTS_PER_INCH = 120


def save_png(path: Path, figure: Figure) -> None:
    """Write the figure as PNG, without matplotlib's version: same figure, same bytes."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    write_bytes(path, data.getvalue())


def draw_sentence(text: str) -> Figure:
    """Return a picture of one sentence, in place of one that these data do not allow.

    DVC has no optional out.
    """
    figure = Figure(figsize=(8, 0.8))
    figure.text(0.5, 0.5, text, ha="center")
    return figure
