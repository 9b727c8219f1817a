"""A set of images in a folder per class, in a folder or a zip: its files, and the pixels of one.

It may come from anywhere: nothing is unpacked, no program is run, and each image is checked.
"""

import os
import re
import stat
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from src.cli import InputError

Image.init()
# Pillow runs Ghostscript for EPS, which IPTC may hold, and knows the last five only by name.
LEFT_OUT = ("EPS", "IPTC", "BUFR", "GRIB", "HDF5", "MPEG", "WMF")
FORMATS = [name for name in Image.ID if name not in LEFT_OUT]
SUFFIXES = {s for s, name in Image.registered_extensions().items() if name in (*FORMATS, "MPO")}
ONE_PICTURE = ("MPO", "PSD")  # their first frame is all that one sees; others: previews, layers
MAX_PIXELS = 2**24  # of one image: 4096 x 4096
LAYOUT = "{train,test}/CLASS/IMAGE or CLASS/IMAGE"
SPLIT_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}

Parts = tuple[str, ...]  # of a path in the set


class Member(NamedTuple):
    """A file in a zip, for reading only."""

    archive: ZipFile
    info: ZipInfo

    def open(self, mode: str) -> IO[bytes]:
        return self.archive.open(self.info)

    def __str__(self) -> str:
        return f"{self.archive.filename}/{self.info.filename}"


Tree = dict[Parts, Path | Member]  # all files of a folder or zip


class ImageFile(NamedTuple):
    path: Path | Member
    name: str  # in the set, with slashes
    split: str  # train or test; empty in a set without a split
    label: int


class ImageError(InputError):
    """Say what is wrong with one image: the kind of fault, and why or what to do."""

    def __init__(self, path: Path | Member, kind: str, why: object) -> None:
        super().__init__(f"{path}: {kind} ({why})")
        self.kind, self.why = kind, why


@contextmanager
def opened(source: Path) -> Iterator[Tree]:
    """Yield all files in `source`, a folder or a zip."""
    if source.is_dir():
        yield _folder_tree(source, frozenset())
        return
    try:
        archive = ZipFile(source)
    except OSError:
        raise
    except Exception as error:  # random bytes can raise many kinds in zipfile
        raise InputError(
            f"{source}: not a whole zip ({error}), expected a folder or a zip of {LAYOUT}"
        ) from None
    with archive:
        yield _zip_tree(archive, source)


def _folder_tree(folder: Path, above: frozenset[Path], parts: Parts = ()) -> Tree:
    tree: Tree = {}
    real = folder.resolve()
    if real not in above:  # else links form a circle
        for path in folder.iterdir():
            if path.is_dir():
                tree |= _folder_tree(path, above | {real}, (*parts, path.name))
            else:
                tree[*parts, path.name] = path
    return tree


def _zip_tree(archive: ZipFile, source: Path) -> Tree:
    tree: Tree = {}
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")  # which old .NET programs write
        # bsdtar and 7z write './train/...'
        parts = tuple(part for part in name.removesuffix("/").split("/") if part != ".")
        fault = None
        if {"", ".."} & set(parts) or re.match(r"[A-Za-z]:", name):
            fault = "is a name that leads elsewhere"
        elif stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            fault = "is a link or a device"
        elif parts in tree:
            fault = "is in the zip twice"
        if fault:
            raise InputError(f"{source}: {info.filename} {fault}, expected a plain zip of images")
        if not name.endswith("/"):
            tree[parts] = Member(archive, info)
    return tree


def list_images(tree: Tree, source: Path) -> tuple[list[ImageFile], list[str], list[str]]:
    """Return the images by class and name, the classes, and notes; InputError without classes."""
    visible = [parts for parts in sorted(tree) if not any(part.startswith(".") for part in parts)]
    found = [parts for parts in visible if Path(parts[-1]).suffix.lower() in SUFFIXES]
    if not found:
        raise InputError(f"{source}: no image in {len(tree)} files, expected {LAYOUT}")
    splits, depth, notes = _splits(found)
    if others := sorted(tree.keys() - splits.keys()):
        notes.append(f"{len(others)} other files left out, such as {'/'.join(others[0])!a}")
    for parts in splits:
        if len(parts) < depth + 2 or not "".join(parts).isprintable():
            name = ascii("/".join(parts))
            raise InputError(f"{source}: {name} is not a printable {LAYOUT}; rename or remove it")
    # The same letter can be stored as different characters: compare the composed ones.
    names = {parts: unicodedata.normalize("NFC", parts[depth]) for parts in splits}
    classes = sorted(set(names.values()))
    in_both = set.intersection(
        *({names[p] for p in splits if splits[p] == s} for s in set(splits.values()))
    )
    if len(in_both) < max(2, len(classes)):
        raise InputError(
            f"{source}: {len(classes)} classes, expected two or more, the same in train and test; "
            f"in one of them only: {', '.join(sorted(set(classes) - in_both)[:5]) or 'none'}"
        )
    files = [
        ImageFile(tree[parts], "/".join(parts), split, classes.index(names[parts]))
        for parts, split in splits.items()
    ]
    return sorted(files, key=lambda file: file.label), classes, notes


def _splits(found: list[Parts]) -> tuple[dict[Parts, str], int, list[str]]:
    """Return the split of each image of the set, the place of the class in its parts, and notes."""
    tops = [p[:i] for p in found for i in range(len(p)) if SPLIT_OF.get(p[i].lower()) == "train"]
    top = min(tops, key=len, default=())
    at, inside = len(top), [p for p in found if p[: len(top)] == top]
    splits = {p: SPLIT_OF[p[at].lower()] for p in inside if p[at].lower() in SPLIT_OF}
    present = list(splits.values())
    if not tops or set(present) == {"train"}:
        images = list(splits) or found
        common = os.path.commonpath([Path(*parts).parent for parts in images])
        return dict.fromkeys(images, ""), len(Path(common).parts), []
    place = "train" if "test" in present else "test"
    notes = [f"the {present.count('val')} images for validation are in {place}"]
    splits = {parts: place if split == "val" else split for parts, split in splits.items()}
    return splits, at + 1, notes if "val" in present else []


def read_image(
    path: Path | Member,
    max_pixels: int = MAX_PIXELS,
    size: Sequence[int] | None = None,
    notes: Counter[str] | None = None,
) -> NDArray[np.uint8]:
    """Return the image at `path` as (3, H, W) uint8, as RGB, turned as its EXIF says.

    A grey image has three equal channels. Of 16 bits, level k becomes k/257, which is counted in
    `notes`. `size`: the (height, width) to stretch it to. ImageError for anything but one opaque
    image of at most `max_pixels`, of whole numbers, in a file of at most 8 bytes per pixel.
    """
    try:
        data = _bytes(path, max_pixels)
        with warnings.catch_warnings(action="ignore"):
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.MAX_IMAGE_PIXELS = max_pixels  # also checked in what a file of icons holds
            Image.open(BytesIO(data), formats=FORMATS).verify()  # checksums, which loading skips
            image = Image.open(BytesIO(data), formats=FORMATS)
            _check_image(image, path)
            wide = ";16" in str(image.tile)  # colours that Pillow reduces while it loads them
            turned, note = ImageOps.exif_transpose(image), "keep the upper 8 of 16 bits" * wide
            if image.mode.startswith("I"):
                turned, note = _eight_bits(turned, path)
            if notes is not None and note:
                notes[note] += 1
            colours = turned.convert("RGB")
            if size:
                colours = colours.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(colours).transpose(2, 0, 1)
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ImageError(path, "too large", f"over {max_pixels} pixels; see --max-pixels") from None
    except UnidentifiedImageError:
        raise ImageError(path, "unreadable", "not an image that Pillow knows") from None
    except Exception as error:  # Pillow and zipfile raise many kinds for damaged bytes
        raise ImageError(path, "unreadable", error) from None


def _bytes(path: Path | Member, max_pixels: int) -> bytes:
    if isinstance(path, Path) and not path.is_file():  # reading a named pipe would wait forever
        raise ImageError(path, "unreadable", "not a regular file, or a broken link")
    with path.open("rb") as file:
        data: bytes = file.read(8 * max_pixels + 2**20)
        if file.read(1):  # also lets zipfile check the CRC at the end
            raise ImageError(path, "too large", f"over {len(data)} bytes; see --max-pixels")
    return data


def _check_image(image: Image.Image, path: Path | Member) -> None:
    if getattr(image, "is_animated", False) and image.format not in ONE_PICTURE:
        raise ImageError(path, "of several frames", "expected one; save the one that you mean")
    if image.mode == "F":
        raise ImageError(path, "of float pixels", "expected whole numbers of 8 or 16 bits")
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise ImageError(path, "transparent", "expected opaque pixels; flatten it")


def _eight_bits(image: Image.Image, path: Path | Member) -> tuple[Image.Image, str]:
    """Return a grey image of 16 bits as one of 8, and a note."""
    levels = np.asarray(image)
    low, high = int(levels.min()), int(levels.max())
    if low < 0 or high > 65535:
        raise ImageError(path, "beyond 16 bits", f"levels {low} to {high}, expected 0 to 65535")
    note = "are scaled from 16 to 8 bits: grey level k becomes k/257"
    if high < 4096:
        note += ", and at most 16 levels remain, because all are below 4096; multiply them first"
    return Image.fromarray(np.rint(levels / 257).astype(np.uint8)), note
