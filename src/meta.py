"""data/flat/meta.json: what the flat arrays are."""

from pathlib import Path
from typing import NamedTuple

from src.arrays import Form
from src.cli import InputError
from src.files import read_json, write_json


class Meta(NamedTuple):
    image_shape: tuple[int, int, int]  # channels, height, width
    classes: list[str]  # names in label order
    scored: list[str]  # those over which balanced accuracy and macro F1 are means


def write_meta(path: Path, meta: Meta, counts: dict[str, list[int]], form: Form) -> None:
    """`counts`: rows by class, for train and for test; `form`: how the images are stored."""
    write_json(path, {**meta._asdict(), "counts": counts, "stored": form._asdict()})


def read_meta(path: Path) -> Meta:
    """What `write_meta` wrote."""
    meta = read_json(path)
    try:
        channels, height, width = meta["image_shape"]
        return Meta((channels, height, width), meta["classes"], meta["scored"])
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path}: expected image_shape, classes and scored; delete it and run 'dvc repro'"
        ) from None


def absent_entry(meta: Meta) -> dict[str, str]:
    """For a metrics file: the classes that balanced accuracy and macro F1 leave out, if any."""
    absent = [name for name in meta.classes if name not in meta.scored]
    return {"absent": ", ".join(absent)} if absent else {}
