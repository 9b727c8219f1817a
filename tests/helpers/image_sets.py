"""Sets of images of a few pixels, as a zip or as a folder."""

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.helpers.images import PNG

FILES = [
    "train/a/0.png", "train/a/1.png", "train/b/0.png", "train/b/1.png",
    "test/a/0.png", "test/a/1.png", "test/b/0.png", "test/b/1.png",
]  # fmt: skip


def write_zip(folder: Path, names: Iterable[str] = FILES, junk: Iterable[str] = ()) -> Path:
    """Write a zip with an image for each of the names, and files of other content."""
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        for name in names:
            archive.writestr(name, PNG)
        for name in junk:
            archive.writestr(name, b"x")
    return folder / "set.zip"


def write_folder(folder: Path, names: Iterable[str] = FILES, junk: Iterable[str] = ()) -> Path:
    """Write the same as a folder."""
    with zipfile.ZipFile(write_zip(folder, names, junk)) as archive:
        archive.extractall(folder / "set")
    return folder / "set"


WriteSet = Callable[..., Path]
WRITERS = pytest.mark.parametrize("write_set", [write_zip, write_folder])
