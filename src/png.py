"""Saving a matplotlib figure so that the same figure is the same bytes."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from src.files import write_bytes


def save_png(path: Path, figure: Figure) -> None:
    """Save at 120 dots an inch, without matplotlib's version in the file."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120, metadata={"Software": None})
    write_bytes(path, data.getvalue())
