"""A set of images in a folder per class, in a folder or a zip: its files, and the pixels of one.

A zip is not unpacked, no program is run, and each image is checked.
"""

import os
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile
from zipfile import Path as Member

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mri_stages.errors import InputError

Image.init()
# Pillow runs Ghostscript for EPS, which IPTC may hold, and knows the last five only by name.
LEFT_OUT = ("EPS", "IPTC", "BUFR", "GRIB", "HDF5", "MPEG", "WMF")
FORMATS = [name for name in Image.ID if name not in LEFT_OUT]
SUFFIXES = {s for s, name in Image.registered_extensions().items() if name in (*FORMATS, "MPO")}
ONE_PICTURE = ("MPO", "PSD")  # their first frame is all that one sees; others: previews, layers
LAYOUT = "{train,test}/CLASS/IMAGE or CLASS/IMAGE"
SPLIT_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}


Parts = tuple[str, ...]  # of a path in the set
Tree = dict[Parts, Path | Member]  # all files of the set


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


def list_images(source: Path) -> tuple[list[ImageFile], list[str], list[str]]:
    """Return the images of a folder or a zip by class and name, the classes, and notes.

    InputError if it holds no images, or not the same two or more classes in train and test.
    """
    tree = _folder_tree(source) if source.is_dir() else _zip_tree(source)
    visible = [parts for parts in sorted(tree) if not any(part.startswith(".") for part in parts)]
    found = [parts for parts in visible if Path(parts[-1]).suffix.lower() in SUFFIXES]
    if not found:
        raise InputError(f"{source}: no image in {len(tree)} files, expected {LAYOUT}")
    splits, depth, notes = _splits(found)
    if others := sorted(tree.keys() - splits.keys()):
        notes.append(f"{len(others)} other files left out, such as {'/'.join(others[0])!a}")
    if lost := next((parts for parts in splits if len(parts) < depth + 2), None):
        raise InputError(f"{source}: {'/'.join(lost)!a} is not {LAYOUT}; move, rename or remove it")
    # The same letter can be stored as different characters: compare the composed ones.
    names = {parts: unicodedata.normalize("NFC", parts[depth]) for parts in splits}
    classes = sorted(set(names.values()))
    in_both = set.intersection(
        *({names[p] for p in splits if splits[p] == s} for s in set(splits.values()))
    )
    words = {word for name in classes for word in re.split(r"[\W_]", name.lower())}
    if len({SPLIT_OF[word] for word in words & SPLIT_OF.keys()}) > 1:  # such as seg_train, seg_test
        raise InputError(
            f"{source}: classes {', '.join(classes[:5])}, expected folders named train and test"
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


def _folder_tree(source: Path) -> Tree:
    tree: Tree = {}
    errors: list[OSError] = []
    for folder, inside, names in os.walk(source, onerror=errors.append, followlinks=True):
        here = Path(folder)
        # A link to a folder on the way down would be followed again and again.
        above = {p.resolve() for p in (here, *here.parents)} | {*here.resolve().parents}
        inside[:] = [name for name in inside if (here / name).resolve() not in above]
        tree |= {(here / name).relative_to(source).parts: here / name for name in names}
    if errors:
        raise errors[0]
    return tree


def _zip_tree(source: Path) -> Tree:
    try:
        archive = ZipFile(source)
    except (BadZipFile, ValueError, NotImplementedError) as error:  # also of names, of versions
        raise InputError(f"{source}: not a whole zip ({error}), expected one of {LAYOUT}") from None
    tree: Tree = {}
    for member in archive.namelist():
        name = member.replace("\\", "/")  # which old .NET programs write
        if not name.endswith("/"):
            # bsdtar and 7z write './train/...'
            parts = tuple(part for part in name.split("/") if part not in ("", "."))
            tree[parts] = Member(archive, member)
    return tree


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
    path: Path | Member, size: Sequence[int] | None = None, notes: Counter[str] | None = None
) -> NDArray[np.uint8]:
    """Return the image at `path` as RGB (3, H, W) uint8, turned as its EXIF says.

    Of 16 bits, level k becomes k/257, which `notes` count. `size`: the (height, width) to stretch
    it to. ImageError for anything but one opaque image of whole numbers.
    """
    try:
        data = path.read_bytes()
        with warnings.catch_warnings(action="ignore"):
            Image.open(BytesIO(data), formats=FORMATS).verify()  # checksums, which loading skips
            image = Image.open(BytesIO(data), formats=FORMATS)
            wide = ";16" in str(image.tile)  # colours that Pillow reduces while it loads them
            _check_image(image, path)
            turned, note = ImageOps.exif_transpose(image), "keep the upper 8 of 16 bits" * wide
            if image.mode.startswith("I"):
                turned, note = _eight_bits(turned, path)
            if notes is not None and note:
                notes[note] += 1
            turned = turned.convert("RGB")
            if size:
                turned = turned.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(turned).transpose(2, 0, 1)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise ImageError(path, "unreadable", "not an image that Pillow knows") from None
    except Exception as error:  # Pillow and zipfile raise many kinds for damaged bytes
        raise ImageError(path, "unreadable", error) from None


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
