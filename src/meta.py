"""data/flat/meta.json: what the flat arrays are."""

from collections.abc import Sequence
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
    """What `write_meta` wrote; InputError for anything else."""
    meta = read_json(path)
    described = meta if isinstance(meta, dict) else {}
    shape, classes, scored = (described.get(key) for key in Meta._fields)
    if (
        not isinstance(shape, list)
        or len(shape) != 3
        or not all(type(size) is int and size > 0 for size in shape)
        or not isinstance(classes, list)
        or not all(isinstance(name, str) and name.isprintable() for name in classes)
        or not len(classes) == len(set(classes)) >= 2
        or not isinstance(scored, list)
        or not all(name in classes and scored.count(name) == 1 for name in scored)
    ):
        raise InputError(
            f"{path}: expected image_shape, three whole numbers above 0, classes, two or more "
            "distinct names, and scored, some of these; delete it and run 'dvc repro'"
        )
    channels, height, width = shape
    return Meta((channels, height, width), classes, scored)


def absent_entry(classes: Sequence[str], scored: Sequence[str]) -> dict[str, str]:
    """For a metrics file: the classes that balanced accuracy and macro F1 leave out, if any."""
    absent = [name for name in classes if name not in scored]
    return {"absent": ", ".join(absent)} if absent else {}
