"""List the images of an .npz file as MedMNIST writes it: {train,val,test}_{images,labels}.

Headers are checked before anything is decompressed, and nothing is unpickled. Rows are read in
random order, which a compressed file does not allow. So each array is decompressed once, in parts,
into a temporary file.
"""

import math
import shutil
import tempfile
import tokenize
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest.bounded_bytes import read_part
from mri_stages.ingest.file_kinds import Kind
from mri_stages.ingest.image_set import ImageFile, ImageSet, note_dark_image
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.ingest.layout_notes import list_counts
from mri_stages.ingest.zip_members import MEMBER_ERRORS, check_members
from mri_stages.storage.file_counts import FileCounts

SUFFIX = ".npz"
EXPECTED = "expected {train,val,test}_images and _labels as MedMNIST writes them"
SPLIT_NAMES = ("train", "val", "test")
FOLDER_OPTIONS = ("table", "class_level", "subject_level", "exclude")  # which mean nothing here

MAX_IMAGES = 2**22  # of a split; each takes some 400 bytes of memory while a set is listed
MAX_SMALL_ARRAY_BYTES = 2**28  # of images, compressed however much
MAX_COMPRESSION = 200  # of a larger array; photos and scans reach about 10
MAX_LISTED_ARRAYS = 10  # in an error message
MAX_HEADER_BYTES = 2**14  # of an array; NumPy takes 10,000 letters
COPY_BYTES = 2**20  # decompressed at a time
COLOUR_CHANNELS = 3
# What zipfile and NumPy raise for damaged content.
DAMAGE_ERRORS = (*MEMBER_ERRORS, SyntaxError, tokenize.TokenError)


class Header(NamedTuple):
    """What an array in the file says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    n_bytes: int  # of the header; the values follow


@dataclass(frozen=True)
class ImageArray:
    """The images (N, H, W) or (N, H, W, 1 or 3) of a split, uint8."""

    source: Path
    member: str
    header: Header

    @cached_property
    def values(self) -> IO[bytes]:
        """Return a temporary file of all values; it is gone when the process ends."""
        n_bytes = math.prod(self.header.shape)
        check_room(self.source, n_bytes)
        file = tempfile.TemporaryFile()  # noqa: SIM115  it stays open for `read_row`
        weakref.finalize(self, file.close)
        with (
            explain_damage(self.source),
            ZipFile(self.source) as archive,
            archive.open(self.member) as member,
        ):
            member.read(self.header.n_bytes)
            shutil.copyfileobj(member, file, COPY_BYTES)
        if file.tell() != n_bytes:
            raise InputError(f"{self.source}: {self.member} is cut short, expected a whole file")
        return file

    def read_row(self, row: int) -> NDArray[np.uint8]:
        """Return the image of a row as RGB (3, H, W)."""
        shape = self.header.shape[1:]
        n_bytes = math.prod(shape)
        self.values.seek(row * n_bytes)
        pixels = np.frombuffer(self.values.read(n_bytes), np.uint8).reshape(*shape[:2], -1)
        return np.broadcast_to(pixels, (*shape[:2], COLOUR_CHANNELS)).transpose(2, 0, 1)


@dataclass(frozen=True, slots=True)
class NpzPicture:
    """A row of an array of images."""

    array: ImageArray
    row: int

    def read(self, notes: Counter[str], kind: Kind | None = None) -> NDArray[np.uint8]:
        """Return the pixels as RGB (3, H, W), as they are; count in `notes` a dark image.

        All rows are stored alike, so nothing is put into `kind`.
        """
        pixels = self.array.read_row(self.row)
        note_dark_image(pixels, notes)
        return pixels


def list_npz_images(source: Path, options: ImportOptions) -> ImageSet:
    """Return the images of an .npz file, with the labels as names of the classes; and notes.

    InputError, which names the file, if it is no such file, or damaged.
    """
    check_options(source, options)
    with explain_damage(source), ZipFile(source) as archive:
        check_members(source, archive)
        members = list_members(source, archive)
        splits = find_splits(source, members)
        arrays = {}
        labels = {}
        for split in splits:
            arrays[split] = open_images(source, archive, members[f"{split}_images"])
            labels[split] = read_labels(source, archive, members[f"{split}_labels"])
            check_rows(source, split, arrays[split].header.shape, labels[split])

    targets, notes = assign_splits(labels)
    values = list_values(source, labels, targets)
    label_numbers = {value: number for number, value in enumerate(values)}
    files = []
    for split in splits:
        for row, value in enumerate(labels[split].tolist()):
            picture = NpzPicture(arrays[split], row)
            name = f"{split}_images:{row}"
            files.append(ImageFile(picture, name, targets[split], label_numbers[value]))
    files.sort(key=lambda file: file.label)

    classes = [str(value) for value in values]
    class_counts = Counter(classes[file.label] for file in files)
    notes.append(f"class: the labels of {source.name} ({list_counts(class_counts)})")
    n_others = len(members) - 2 * len(splits)
    if n_others:
        notes.append(f"{n_others} other arrays left out")
    return ImageSet(
        files,
        classes,
        notes,
        no_subjects_reason="an .npz file names none",
        file_counts=FileCounts(seen=1, taken=1, left_out={}),
    )


def list_members(source: Path, archive: ZipFile) -> dict[str, ZipInfo]:
    """Return the arrays of a file by name; InputError if two have one name."""
    members: dict[str, ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in members:
            raise InputError(f"{source}: two arrays {name}, expected one; it is damaged")
        members[name] = member
    return members


def check_options(source: Path, options: ImportOptions) -> None:
    """Raise ArgumentError if an option asks for folders or a table."""
    for name in FOLDER_OPTIONS:
        if getattr(options, name):
            raise ArgumentError(
                f"--{name.replace('_', '-')}: {source} has labels of its own, expected no "
                "such option"
            )


@contextmanager
def explain_damage(source: Path) -> Iterator[None]:
    """Turn the errors of a damaged file into an InputError that names it."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        raise InputError(f"{source}: not a whole .npz file ({error}), {EXPECTED}") from None


def find_splits(source: Path, members: Mapping[str, ZipInfo]) -> list[str]:
    """Return the splits that have images and labels; InputError if train has not."""
    splits = []
    for split in SPLIT_NAMES:
        has_images = f"{split}_images" in members
        has_labels = f"{split}_labels" in members
        if has_images != has_labels:
            missing = f"{split}_labels" if has_images else f"{split}_images"
            raise InputError(f"{source}: no array {missing}, {EXPECTED}")
        if has_images:
            splits.append(split)
    if "train" not in splits:
        listed = ", ".join(sorted(members)[:MAX_LISTED_ARRAYS]) or "none"
        raise InputError(f"{source}: arrays {listed}, {EXPECTED}")
    return splits


def read_header(source: Path, archive: ZipFile, member: ZipInfo) -> Header:
    """Return the header of an array of numbers; InputError unless its size is that in the zip."""
    # Its own length may be a lie, and NumPy would unpack as many bytes.
    with archive.open(member) as file:
        start = BytesIO(file.read(MAX_HEADER_BYTES))
    version = np.lib.format.read_magic(start)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"{member.filename} of version {version}")
    shape, is_fortran, dtype = readers[version](start)
    n_header_bytes = start.tell()

    if dtype.hasobject:
        raise InputError(
            f"{source}: {member.filename} is an array of Python objects, expected numbers; nothing "
            "is unpickled"
        )
    if is_fortran and len(shape) > 1:
        raise InputError(
            f"{source}: {member.filename} is stored by columns (Fortran order), expected rows; "
            "save np.ascontiguousarray(x)"
        )
    if not shape or min(shape) < 1:
        raise InputError(f"{source}: {member.filename} has the shape {shape}, expected rows")
    if n_header_bytes + math.prod(shape) * dtype.itemsize != member.file_size:
        raise InputError(
            f"{source}: {member.filename} of shape {shape} takes another number of bytes than the "
            f"zip says, {member.file_size:,}; it is damaged"
        )
    return Header(shape, dtype, n_header_bytes)


def open_images(source: Path, archive: ZipFile, member: ZipInfo) -> ImageArray:
    """Return the images of a split, not read yet; InputError if they are no images of uint8."""
    header = read_header(source, archive, member)
    shape = header.shape
    place = f"{source}: {member.filename} of shape {shape}"
    if len(shape) == 4 and shape[3] not in (1, COLOUR_CHANNELS):
        if shape[1] in (1, COLOUR_CHANNELS):
            raise InputError(f"{place} has its channels first, expected (N, H, W, 3)")
        raise InputError(f"{place} holds volumes, expected images (N, H, W) or (N, H, W, 3)")
    if len(shape) not in (3, 4):
        raise InputError(f"{place} holds no images, expected (N, H, W) or (N, H, W, 3)")
    if header.dtype != np.uint8:
        raise InputError(f"{place} is of {header.dtype}, expected uint8 grey levels")

    is_large = member.file_size > MAX_SMALL_ARRAY_BYTES
    if is_large and member.file_size > MAX_COMPRESSION * member.compress_size:
        raise InputError(
            f"{place} is compressed from {member.file_size:,} to {member.compress_size:,} bytes, "
            f"expected at most {MAX_COMPRESSION}-fold: no images are so alike"
        )
    return ImageArray(source, member.filename, header)


def read_labels(source: Path, archive: ZipFile, member: ZipInfo) -> NDArray[Any]:
    """Return the labels (N,) of a split; InputError says what they are if not one per image."""
    header = read_header(source, archive, member)
    shape = header.shape
    place = f"{source}: {member.filename} of shape {shape}"
    if len(shape) >= 3:
        raise InputError(
            f"{place} holds segmentation masks, expected one class per image, (N, 1); no model "
            "here learns masks"
        )
    if len(shape) == 2 and shape[1] != 1:
        raise InputError(
            f"{place} holds {shape[1]} labels per image, expected one class per image, (N, 1); "
            "choose one column, or save x.argmax(1)[:, None] if they are one-hot"
        )
    if header.dtype.kind not in "iu":
        raise InputError(f"{place} is of {header.dtype}, expected whole numbers")
    if shape[0] > MAX_IMAGES:
        raise InputError(f"{place} has labels of more than {MAX_IMAGES:,} images; import a part")

    with archive.open(member) as file:
        file.read(header.n_bytes)
        values = read_part(file, member.file_size)  # in parts: it may hold far more than it says
    return np.frombuffer(values, header.dtype)


def check_rows(source: Path, split: str, shape: tuple[int, ...], labels: NDArray[Any]) -> None:
    """Raise InputError unless each image has a label."""
    if shape[0] != len(labels):
        raise InputError(
            f"{source}: {shape[0]} {split}_images and {len(labels)} {split}_labels, expected "
            "as many"
        )


def assign_splits(labels: Mapping[str, NDArray[Any]]) -> tuple[dict[str, str], list[str]]:
    """Return what each array is, train, test or "" (no split); and notes."""
    if set(labels) == {"train"}:
        return {"train": ""}, []
    targets = {"train": "train", "test": "test"}
    notes = []
    if "val" in labels:
        targets["val"] = "train" if "test" in labels else "test"
        notes.append(f"the {len(labels['val'])} images for validation are in {targets['val']}")

    counts = Counter[str]()
    for split, values in labels.items():
        counts[targets[split]] += len(values)
    return targets, [f"split: the names of the arrays ({list_counts(counts)})", *notes]


def list_values(
    source: Path, labels: Mapping[str, NDArray[Any]], targets: Mapping[str, str]
) -> list[int]:
    """Return the labels that occur, sorted; InputError if train and test have not the same."""
    values_by_target: dict[str, set[int]] = {}
    for split, values in labels.items():
        values_by_target.setdefault(targets[split], set()).update(np.unique(values).tolist())
    value_sets = list(values_by_target.values())
    all_values = set[int]().union(*value_sets)
    lacking = sorted(all_values - all_values.intersection(*value_sets))

    n_images = sum(len(values) for values in labels.values())
    if not 2 <= len(all_values) <= n_images / 2:
        raise InputError(
            f"{source}: {len(all_values)} classes in {n_images} labels, expected two or more with "
            "several images each"
        )
    if lacking:
        raise InputError(
            f"{source}: {len(lacking)} labels, such as {lacking[0]}, are in train or in test only, "
            "expected the same classes in both"
        )
    return sorted(all_values)


def check_room(source: Path, n_bytes: int) -> None:
    """Raise InputError if the temporary folder lacks the room for `n_bytes`."""
    folder = tempfile.gettempdir()
    free_bytes = shutil.disk_usage(folder).free
    if n_bytes > free_bytes:
        raise InputError(
            f"{source}: takes {n_bytes:,} bytes in {folder}, {free_bytes:,} are free; set TMPDIR "
            "to a folder with more room"
        )
