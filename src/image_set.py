"""The public image set on disk or in a zip: which files it holds, of what class and subject."""

import os
import re
import stat
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from zipfile import Path as ZipPath
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from src.cli import InputError

SUFFIXES = (".jpg", ".jpeg", ".png")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")  # 8 bits a channel, or fewer
LAYOUT = "{train,test}/CLASS/IMAGE"
SOURCE = f"the public image set or a folder of its layout ({LAYOUT})"
MAX_PIXELS = 2**24  # of one image: 4096 x 4096
Image.MAX_IMAGE_PIXELS = None  # read_image has a limit of its own

Parts = tuple[str, ...]


class ImageFile(NamedTuple):
    path: Path | ZipPath
    label: int
    subject: int | None = None


class Tree(NamedTuple):
    """What a folder or a zip holds, by the names that lead to it."""

    files: dict[Parts, Path | ZipPath]
    folders: set[Parts]


class ImageSet(NamedTuple):
    files: dict[str, list[ImageFile]]  # of train and test, by class and file name
    classes: list[str]  # names in label order
    left_out: list[str]  # files that are no image of a class: Thumbs.db and the like


class NoSubjects(Exception):
    """Why the file names do not tell whose image each one is."""


@contextmanager
def opened(source: Path) -> Iterator[Tree]:
    """All that `source`, a folder or a zip, holds; nothing is unpacked."""
    if source.is_dir():
        yield _folder_tree(source)
        return
    if not source.exists():
        raise InputError(f"{source}: no such file or folder, expected {SOURCE}")
    try:
        archive = ZipFile(source)
    except OSError:
        raise
    except Exception as error:  # random bytes can raise many kinds in zipfile
        raise InputError(f"{source}: no whole zip archive ({error}), expected {SOURCE}") from None
    with archive:
        yield _zip_tree(archive, source)


def _folder_tree(source: Path) -> Tree:
    tree = Tree({}, set())
    for folder, folders, names in os.walk(source, onerror=_fail, followlinks=True):
        path = Path(folder)
        parts = path.relative_to(source).parts
        tree.folders.add(parts)
        tree.files.update({(*parts, name): path / name for name in names})
        if len(parts) == 4:  # TOP/train/CLASS/FOLDER is too deep already; a link may go in circles
            folders.clear()
    return tree


def _fail(error: OSError) -> None:
    raise error


def _zip_tree(archive: ZipFile, source: Path) -> Tree:
    tree = Tree({}, set())
    for info in archive.infolist():
        parts = tuple(info.filename.rstrip("/").split("/"))
        if fault := _fault(info, parts):
            raise InputError(f"{source}: {info.filename} {fault}; expected a plain zip of images")
        if parts in tree.files:
            raise InputError(f"{source}: {info.filename} stands there twice, expected it once")
        if not info.is_dir():
            tree.files[parts] = ZipPath(archive, info.filename)
        tree.folders.update(parts[:n] for n in range(len(parts) + info.is_dir()))
    return tree


def _fault(info: ZipInfo, parts: Parts) -> str | None:
    """What no member of an honest archive is."""
    if {"", ".", ".."} & set(parts) or re.match(r"[A-Za-z]:", info.filename):
        return "is a name that leads elsewhere"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    return "is encrypted" if info.flag_bits & 1 else None


def list_images(tree: Tree, source: Path) -> ImageSet:
    """The images of `source` by split and class; InputError for another layout."""
    top = _top(tree.folders, source)
    splits = [(*top, "train"), (*top, "test")]
    folders = {split[-1]: _class_folders(tree.folders, split, source) for split in splits}
    classes = sorted(folders["train"])
    if set(folders["test"]) != set(classes) or len(classes) < 2:
        lonely = sorted(folders["train"].keys() ^ folders["test"].keys())
        raise InputError(
            f"{source}: {len(folders['train'])} classes in train, {len(folders['test'])} in test, "
            f"in one of them only: {_some(lonely) or 'none'}; expected the same two or more in both"
        )
    images: dict[Parts, list[Parts]] = {
        folders[split][name]: [] for split in folders for name in classes
    }
    left_out = []
    for parts in tree.files:
        if parts[:-1] in images and _is_image(parts):
            if not parts[-1].isprintable():
                raise InputError(f"{source}: {'/'.join(parts)!a} cannot be printed; rename it")
            images[parts[:-1]].append(parts)
        elif parts[: len(splits[0])] in splits and _is_image(parts):
            raise InputError(f"{source}: {'/'.join(parts)} is no {LAYOUT}; move or remove it")
        else:
            left_out.append("/".join(parts))
    for folder, found in images.items():
        if not found:
            raise InputError(
                f"{source}: {'/'.join(folder)}: no image, expected files that end in "
                f"{', '.join(SUFFIXES)}"
            )
    files = {
        split: [
            ImageFile(tree.files[parts], label)
            for label, name in enumerate(classes)
            for parts in sorted(images[folders[split][name]])
        ]
        for split in folders
    }
    return ImageSet(files, classes, sorted(left_out))


def _top(folders: set[Parts], source: Path) -> Parts:
    """The folder that holds `train` and `test`: `source` itself, or one inside."""
    for top in [(), *sorted(parts for parts in folders if len(parts) == 1)]:
        if {(*top, "train"), (*top, "test")} <= folders:
            return top
    names = sorted(parts[0] for parts in folders if len(parts) == 1)
    raise InputError(
        f"{source}: expected folders train and test, at the top or inside one folder, found "
        f"{_some(names) or 'no folder'}"
    )


def _class_folders(folders: set[Parts], split: Parts, source: Path) -> dict[str, Parts]:
    """The folders of the classes in a split, by the class's name."""
    found: dict[str, Parts] = {}
    for parts in sorted(folders):
        if parts[:-1] == split and not parts[-1].startswith("."):
            # The same letters can be stored as different characters: compare the composed ones.
            name = unicodedata.normalize("NFC", parts[-1])
            if name in found or not name.isprintable():
                raise InputError(
                    f"{source}: class {name!a} in {'/'.join(split)} stands there twice or cannot "
                    "be printed; rename its folder"
                )
            found[name] = parts
    return found


def _is_image(parts: Parts) -> bool:
    hidden = any(part.startswith(".") for part in parts)
    return parts[-1].lower().endswith(SUFFIXES) and not hidden


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def with_subjects(
    files: dict[str, list[ImageFile]], classes: Sequence[str]
) -> dict[str, list[ImageFile]]:
    """The same files with subject ids, counted through all classes; NoSubjects if unknown."""
    known: dict[str, list[ImageFile]] = {split: [] for split in files}
    first_id = 0
    by_class = {
        split: [list(group) for _, group in groupby(files[split], key=lambda file: file.label)]
        for split in files
    }
    for label, name in enumerate(classes):
        of_class = {split: by_class[split][label] for split in files}
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


def read_image(path: Path | ZipPath, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """The JPEG or PNG at `path` as (3, H, W) uint8, turned as its EXIF says, converted to RGB.

    A grey one has three equal channels. InputError for what is no image of 8 bits a channel, has
    transparent pixels or more than `max_pixels`, each in a file of at most 8 bytes a pixel.
    """
    try:
        if not path.is_file():  # reading a named pipe would wait for ever
            raise InputError(f"{path}: no regular file, or a link to nothing")
        with path.open("rb") as file:
            data = file.read(8 * max_pixels + 2**20)  # whole: only then zipfile checks the CRC
            if file.read(1):
                raise InputError(
                    f"{path}: more than {len(data)} bytes, which is no image of {max_pixels} "
                    "pixels; --max-pixels raises the limit"
                )
        with warnings.catch_warnings(action="ignore"):
            # Of the formats that Pillow knows, one (EPS) is a program, which it would have run.
            image = Image.open(BytesIO(data), formats=("JPEG", "PNG"))
            if image.width * image.height > max_pixels:
                raise InputError(
                    f"{path}: {image.height} x {image.width} pixels, expected at most "
                    f"{max_pixels} in all; --max-pixels raises the limit"
                )
            # Pillow reduces colours of 16 bits to 8 by itself; byte 24 of a PNG has their number.
            deep = False
            if image.format == "PNG":
                if data[12:16] != b"IHDR":
                    raise InputError(f"{path}: a PNG that does not begin with its IHDR")
                deep = data[24] > 8
                Image.open(BytesIO(data)).verify()  # the checksums, which loading skips in part
            if image.mode not in MODES or deep:
                raise InputError(
                    f"{path}: pixels of mode {image.mode} or of 16 bits, expected 8 bits a channel"
                )
            if image.has_transparency_data and min(image.convert("RGBA").tobytes()[3::4]) < 255:
                raise InputError(f"{path}: transparent pixels, expected none; flatten it")
            upright = ImageOps.exif_transpose(image).convert("RGB")
            return np.asarray(upright).transpose(2, 0, 1)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{path}: cannot be read as an image, expected a JPEG or PNG") from None
    except Exception as error:  # Pillow and zipfile raise many kinds for bytes that are no image
        raise InputError(f"{path}: cannot be read as an image ({error})") from None
