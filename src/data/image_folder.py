"""A set of images in the layout of the public one, {train,test}/CLASS/IMAGE, in a folder or a zip.

It may come from anywhere: nothing is unpacked, and each image is checked before it is decoded.
"""

import re
import stat
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from zipfile import Path as ZipPath
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from src.cli import InputError
from src.storage.dataset import SPLITS

SUFFIXES = (".jpg", ".jpeg", ".png")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")  # at most 8 bits per channel
LAYOUT = "{train,test}/CLASS/IMAGE"
MAX_PIXELS = 2**24  # of one image: 4096 x 4096
Image.MAX_IMAGE_PIXELS = None  # read_image has a limit of its own

Parts = tuple[str, ...]
Tree = dict[Parts, Path | ZipPath | None]  # all of a folder or zip by its parts; None: a folder


class ImageFile(NamedTuple):
    path: Path | ZipPath
    label: int


Files = dict[str, list[ImageFile]]  # of train and test, sorted by label and file name


@contextmanager
def opened(source: Path) -> Iterator[Tree]:
    """Yield all that `source` holds, a folder or a zip."""
    if source.is_dir():
        yield _folder_tree(source)
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


def _folder_tree(folder: Path, parts: Parts = ()) -> Tree:
    tree: Tree = {parts: None}
    for path in folder.iterdir():
        if not path.is_dir():
            tree[*parts, path.name] = path
        elif len(parts) < 4:  # TOP/train/CLASS/FOLDER is too deep already; links may form a circle
            tree |= _folder_tree(path, (*parts, path.name))
    return tree


def _zip_tree(archive: ZipFile, source: Path) -> Tree:
    tree: Tree = {}
    for info in archive.infolist():
        parts = tuple(info.filename.rstrip("/").split("/"))
        fault = "is in the zip twice" if tree.get(parts) is not None else _fault(info, parts)
        if fault:
            raise InputError(f"{source}: {info.filename} {fault}, expected a plain zip of images")
        tree.update({parts[:n]: None for n in range(len(parts)) if parts[:n] not in tree})
        tree[parts] = None if info.is_dir() else ZipPath(archive, info.filename)
    return tree


def _fault(info: ZipInfo, parts: Parts) -> str | None:
    """Return what is wrong with a member of a hostile archive, or None."""
    if {"", ".", ".."} & set(parts) or re.match(r"[A-Za-z]:", info.filename):
        return "is a name that leads elsewhere"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    return None


def list_images(tree: Tree, source: Path) -> tuple[Files, list[str], list[str]]:
    """Return the images, classes, and names of other files; InputError for another layout."""
    top = _top(tree, source)
    folders = _class_folders(tree, top, source)
    images: dict[Parts, list[Path | ZipPath]] = {folder: [] for folder in folders.values()}
    left_out = []
    for parts, path in sorted(tree.items()):
        if path is None:
            continue
        in_split = parts[: len(top)] == top and parts[len(top)] in SPLITS
        hidden = any(part.startswith(".") for part in parts)
        if not in_split or hidden or not parts[-1].lower().endswith(SUFFIXES):
            left_out.append("/".join(parts))
        elif parts[:-1] in images and parts[-1].isprintable():
            images[parts[:-1]].append(path)
        else:
            raise InputError(
                f"{source}: {'/'.join(parts)!a} is not a printable {LAYOUT}; rename or remove it"
            )
    for folder, found in images.items():
        if not found:
            raise InputError(f"{source}: no {', '.join(SUFFIXES)} in {'/'.join(folder)}")
    classes = sorted({name for _, name in folders})
    files = {
        split: [ImageFile(p, k) for k, c in enumerate(classes) for p in images[folders[split, c]]]
        for split in SPLITS
    }
    return files, classes, left_out


def _top(tree: Tree, source: Path) -> Parts:
    """Return the folder that holds `train` and `test`: `source` itself, or one in it."""
    inside = sorted(parts for parts, path in tree.items() if len(parts) == 1 and path is None)
    for top in [(), *inside]:
        if all((*top, split) in tree for split in SPLITS):
            return top
    raise InputError(
        f"{source}: expected folders train and test, at the top or inside one folder, found "
        f"{', '.join(parts[0] for parts in inside[:5]) or 'no folder'}"
    )


def _class_folders(tree: Tree, top: Parts, source: Path) -> dict[tuple[str, str], Parts]:
    """Return the folder of each split and class; InputError unless both have the same classes."""
    found: dict[tuple[str, str], Parts] = {}
    for parts in sorted(parts for parts, path in tree.items() if path is None):
        if parts[:-1] in [(*top, split) for split in SPLITS] and not parts[-1].startswith("."):
            # The same letter can be stored as different characters: compare the composed ones.
            key = parts[-2], unicodedata.normalize("NFC", parts[-1])
            if key in found or not key[1].isprintable():
                raise InputError(
                    f"{source}: class {key[1]!a} in {key[0]} is there twice or cannot be printed; "
                    "rename its folder"
                )
            found[key] = parts
    train, test = ({name for s, name in found if s == split} for split in SPLITS)
    if train != test or len(train) < 2:
        raise InputError(
            f"{source}: {len(train)} classes in train, {len(test)} in test, expected the same two "
            f"or more; in one of them only: {', '.join(sorted(train ^ test)[:5]) or 'none'}"
        )
    return found


def read_image(path: Path | ZipPath, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return the JPEG or PNG at `path` as (3, H, W) uint8, turned as its EXIF says, as RGB.

    A grey one has three equal channels. InputError for anything but an opaque image of 8 bits per
    channel and at most `max_pixels`, in a file of at most 8 bytes per pixel.
    """
    try:
        data = _bytes(path, max_pixels)
        with warnings.catch_warnings(action="ignore"):
            # Pillow would run a program to read some other formats, such as EPS.
            image = Image.open(BytesIO(data), formats=("JPEG", "PNG"))
            _check_image(image, data, path, max_pixels)
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).transpose(2, 0, 1)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{path}: cannot be read as an image, expected a JPEG or PNG") from None
    except Exception as error:  # Pillow and zipfile raise many kinds for damaged bytes
        raise InputError(f"{path}: cannot be read as an image ({error})") from None


def _bytes(path: Path | ZipPath, max_pixels: int) -> bytes:
    if not path.is_file():  # reading a named pipe would wait forever
        raise InputError(f"{path}: not a regular file, or a broken link")
    with path.open("rb") as file:
        data: bytes = file.read(8 * max_pixels + 2**20)
        if file.read(1):  # also lets zipfile check the CRC at the end
            raise InputError(f"{path}: over {len(data)} bytes, the limit; see --max-pixels")
    return data


def _check_image(image: Image.Image, data: bytes, path: Path | ZipPath, max_pixels: int) -> None:
    """Raise InputError, or an error of Pillow, unless `image` gives the pixels that it stores."""
    if image.width * image.height > max_pixels:
        size = f"{image.height} x {image.width}"
        raise InputError(f"{path}: {size} pixels, limit {max_pixels}; see --max-pixels")
    deep = False
    if image.format == "PNG":
        Image.open(BytesIO(data)).verify()  # the checksums, which loading skips in part
        # Pillow reduces 16-bit colours to 8 bits. The bit depth is byte 24, if IHDR comes first.
        deep = data[12:16] != b"IHDR" or data[24] > 8
    if image.mode not in MODES or deep:
        raise InputError(f"{path}: pixels {image.mode} or of 16 bits, expected 8 per channel")
    if image.has_transparency_data and min(image.convert("RGBA").tobytes()[3::4]) < 255:
        raise InputError(f"{path}: transparent pixels, expected none; flatten it")
