"""The images of a set before they are read: where each lies, its name, split, label and subject.

Folders, tables and .npz files give such a set (image_folder.py, image_table.py, npz_file.py).
image_file.py, dicom_file.py and volume_file.py read the pixels.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol
from zipfile import Path as ZipMember

import numpy as np
from numpy.typing import NDArray

from mri_stages.errors import InputError
from mri_stages.ingest.file_kinds import Kind
from mri_stages.storage.file_counts import FileCounts

FilePath = Path | ZipMember

MAX_LISTED_FAULTS = 5  # names of images of one kind of fault in an error message
MAX_DARK_LEVEL = 9  # of 255: what is no brighter looks black, as class numbers in a mask do
DARK_NOTE = (
    f"have no grey level above {MAX_DARK_LEVEL} of 255, so they are nearly black; --exclude leaves "
    "masks of class numbers out; if level 1 means white, multiply the levels first"
)


class ImageError(InputError):
    """Say what is wrong with one image: the kind of fault, and the reason or what to do."""

    def __init__(self, path: object, kind: str, reason: object) -> None:
        super().__init__(f"{path}: {kind} ({reason})")
        self.path = path
        self.kind = kind
        self.reason = str(reason)

    def copy_text(self) -> "ImageError":
        """Return an equal error that was not raised yet.

        One that was raised holds its traceback, of which the variables hold the bytes of the file.
        """
        return ImageError(self.path, self.kind, self.reason)


class Faults:
    """The wrong images of a set, by the kind of fault."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.first_reasons: dict[str, str] = {}

    def add(self, name: str, error: ImageError) -> None:
        self.names.setdefault(error.kind, []).append(name)
        self.first_reasons.setdefault(error.kind, error.reason)

    def describe(self) -> list[str]:
        """Return for each kind the number of images, and the first names with the first reason."""
        problems = []
        for kind, names in self.names.items():
            first_name, *next_names = names[:MAX_LISTED_FAULTS]
            listed = ", ".join([f"{first_name} ({self.first_reasons[kind]})", *next_names])
            problems.append(f"{len(names)} {kind}, such as {listed}")
        return problems


class Picture(Protocol):
    """One image that is read when it is needed: a file, a slice of a volume, a row of an array."""

    def read(self, notes: Counter[str], kind: Kind | None = None) -> NDArray[np.uint8]:
        """Return the pixels as RGB (3, H, W); count in `notes` how they were converted.

        Put into `kind` what is known of how they are stored, except their size. Raise ImageError
        for anything but one whole image.
        """


def note_dark_image(pixels: NDArray[np.uint8], notes: Counter[str]) -> None:
    """Count in `notes` an image that is nearly black, but not quite, for its stored levels."""
    if 0 < pixels.max() <= MAX_DARK_LEVEL:
        notes[DARK_NOTE] += 1


@dataclass(frozen=True)
class FaultyPicture:
    """A file whose header shows already that it holds no image that can be read."""

    error: ImageError

    def read(self, notes: Counter[str], kind: Kind | None = None) -> NDArray[np.uint8]:
        """Raise the error, so that it is counted with those of other files."""
        raise self.error


@dataclass(frozen=True)
class ImageFile:
    """One image of a set."""

    picture: Picture
    name: str
    """In the set, with slashes; FILE:INDEX for a slice of a volume or a row of an array."""
    split: str
    """train or test; empty in a set without a split."""
    label: int
    subject: str = ""
    """The id that the source gives, as text; empty where it gives none."""
    is_subject_private: bool = False
    """Whether that id names a person: it is numbered, and written nowhere."""
    details: Mapping[str, str] = field(default_factory=dict)
    """The kept columns of a table, by name."""


class ImageSet(NamedTuple):
    """The images of a set, sorted by class and then by name."""

    files: list[ImageFile]
    classes: list[str]  # in label order
    notes: list[str]  # on what is left out or counted elsewhere
    subject_origin: str = "the files"  # what gives the ids of `ImageFile.subject`
    no_subjects_reason: str = ""  # why there are none; empty where file names may tell them
    file_counts: FileCounts | None = None  # of the source; None where nobody counted
