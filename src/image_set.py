"""The public image set on disk or in a zip: which files it holds, of what class and subject."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile
from zipfile import Path as ZipPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from src.cli import InputError

SUFFIXES = (".jpg", ".jpeg", ".png")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")  # 8 bits a channel, or fewer
SOURCE = "the public image set or a folder of its layout ({train,test}/CLASS/IMAGE)"

Folder = Path | ZipPath


class ImageFile(NamedTuple):
    path: Folder
    label: int
    subject: int | None = None


class NoSubjects(Exception):
    """Why the file names do not tell whose image each one is."""


@contextmanager
def opened(source: Path) -> Iterator[Folder]:
    """The folder that holds `train` and `test`: `source`, a zip, or the one folder inside."""
    if source.is_dir():
        yield _top(source, source)
        return
    if not source.exists():
        raise InputError(f"{source}: no such file or folder, expected {SOURCE}")
    try:
        archive = ZipFile(source)
    except BadZipFile:
        raise InputError(f"{source}: no whole zip archive, expected {SOURCE}") from None
    with archive:
        yield _top(ZipPath(archive), source)


def _top(root: Folder, source: Path) -> Folder:
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    for top in (root, *(root / name for name in names)):
        if (top / "train").is_dir() and (top / "test").is_dir():
            return top
    raise InputError(
        f"{source}: expected folders train and test, at the top or inside one folder, found "
        f"{', '.join(names[:5]) or 'no folder'}"
    )


def list_images(top: Folder) -> tuple[dict[str, list[ImageFile]], list[str]]:
    """The images of `train` and `test` by class and file name, and the class names in order."""
    names = {
        split: sorted(
            entry.name
            for entry in (top / split).iterdir()
            if entry.is_dir() and not entry.name.startswith(".")
        )
        for split in ("train", "test")
    }
    classes = names["train"]
    if names["test"] != classes or len(classes) < 2:
        raise InputError(
            f"{top}: classes in train: {', '.join(classes) or 'none'}; in test: "
            f"{', '.join(names['test']) or 'none'}; expected the same two or more in both"
        )
    files: dict[str, list[ImageFile]] = {}
    for split in names:
        files[split] = []
        for label, name in enumerate(classes):
            paths = sorted(
                (path for path in (top / split / name).iterdir() if _is_image(path)),
                key=lambda path: path.name,
            )
            if not paths:
                raise InputError(
                    f"{top / split / name}: no image, expected files that end in "
                    f"{', '.join(SUFFIXES)}"
                )
            files[split] += [ImageFile(path, label) for path in paths]
    return files, classes


def _is_image(path: Folder) -> bool:
    hidden = path.name.startswith(".")
    return path.is_file() and not hidden and path.name.lower().endswith(SUFFIXES)


def with_subjects(
    files: dict[str, list[ImageFile]], classes: Sequence[str]
) -> dict[str, list[ImageFile]]:
    """The same files with subject ids, counted through all classes; NoSubjects if unknown."""
    known: dict[str, list[ImageFile]] = {split: [] for split in files}
    first_id = 0
    for label, name in enumerate(classes):
        of_class = {s: [file for file in files[s] if file.label == label] for s in files}
        try:
            ids = class_subjects(*([file.path.name for file in of_class[s]] for s in files))
        except NoSubjects as reason:
            raise NoSubjects(f"{name}: {reason}") from None
        for split, numbers in zip(files, ids, strict=True):
            known[split] += [
                file._replace(subject=first_id + number)
                for file, number in zip(of_class[split], numbers, strict=True)
            ]
        first_id += 1 + max(max(numbers) for numbers in ids)
    return known


def class_subjects(train: Sequence[str], test: Sequence[str]) -> tuple[list[int], list[int]]:
    """Subjects (from 0) of one class's images by the public set's numbering; else NoSubjects.

    A test file `S (k).jpg` is slice S of subject k, `S.jpg` that of subject 1. The train files
    are numbered from 0 through the list of all such names, slice by slice and in string order
    inside a slice, without the names that are in test. (Found in the pixels of the public set.)

    Other sets have names of this look without the meaning. So the numbers must run 0 to N - 1,
    each name occur once, and train and test together fill subjects x slices; only the last slice
    may have gaps, and only where no train image is of it, so that no gap can shift a number.
    """
    cells = [_test_cell(name) for name in test]
    numbers = [_train_number(name) for name in train]
    if len({re.sub(r"\d+\.\w+$", "", name) for name in train}) > 1:
        raise NoSubjects("train files have names of several kinds")
    if sorted(numbers) != list(range(len(train))):
        raise NoSubjects("train files are not numbered from 0 without a gap")
    if len({subject for _, subject in cells}) < 2:
        raise NoSubjects("test files name fewer than two subjects")
    if len(set(cells)) != len(cells):
        raise NoSubjects("two test files have the same slice and subject")
    slices, subjects = (max(column) for column in zip(*cells, strict=True))
    if slices * subjects > 2 * (len(train) + len(test)):
        raise NoSubjects(f"{subjects} subjects x {slices} slices are too many for the files")
    taken = set(cells)
    listed = [
        (s, k)
        for s in range(1, slices + 1)
        for k in sorted(range(1, subjects + 1), key=partial(_test_name, s))
        if (s, k) not in taken
    ]
    missing = listed[len(train) :]
    if len(listed) < len(train) or any(s < slices for s, _ in missing):
        raise NoSubjects(
            f"{len(train)} train and {len(test)} test files do not fill {subjects} subjects x "
            f"{slices} slices"
        )
    if missing and listed[len(train) - 1][0] == slices:
        raise NoSubjects(f"slice {slices} has gaps and images in train")
    return [listed[number][1] - 1 for number in numbers], [k - 1 for _, k in cells]


def _test_name(slice_: int, subject: int) -> str:
    return f"{slice_}.jpg" if subject == 1 else f"{slice_} ({subject}).jpg"


def _test_cell(name: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,5})(?: \(([1-9]\d{0,5})\))?\.\w+", name)
    if not match:
        raise NoSubjects(f"test file {name} is not named 'S (k).jpg'")
    return int(match[1]), int(match[2] or 1)


def _train_number(name: str) -> int:
    match = re.fullmatch(r"\D*(0|[1-9]\d{0,8})\.\w+", name)
    if not match:
        raise NoSubjects(f"train file {name} is not named by one number")
    return int(match[1])


def read_image(path: Folder) -> NDArray[np.uint8]:
    """The image at `path` as (3, H, W) uint8; a grey one has three equal channels."""
    try:
        with path.open("rb") as file, Image.open(file) as image:
            if image.mode not in MODES:
                raise InputError(f"{path}: pixels of mode {image.mode}, expected 8 bits a channel")
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except InputError:
        raise
    except Exception as error:  # Pillow and zipfile raise many kinds for bytes that are no image
        raise InputError(f"{path}: cannot be read as an image ({error})") from None
