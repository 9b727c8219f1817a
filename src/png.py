"""Saving a matplotlib figure so that the same figure is the same bytes."""

from pathlib import Path

from matplotlib.figure import Figure

from src.files import replacing


def save_png(path: Path, figure: Figure) -> None:
    """Save at 120 dots an inch, without matplotlib's version in the file."""
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=120, metadata={"Software": None})
