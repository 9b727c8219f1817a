"""Tell which files of a set are images, and open them: Pillow's formats, DICOM and volumes.

A file is told by its suffix. Scanners often give DICOM files no suffix, or a number as one, so a
file of an unknown suffix is DICOM if its bytes say so.
"""

from collections.abc import Collection
from enum import Enum, auto
from pathlib import PurePosixPath
from typing import NamedTuple

from mri_stages.ingest.dicom_file import DicomPicture, read_header
from mri_stages.ingest.file_tree import FileTree, Parts, is_hidden
from mri_stages.ingest.image_file import SUFFIXES as PILLOW_SUFFIXES
from mri_stages.ingest.image_file import PillowPicture
from mri_stages.ingest.image_set import FaultyPicture, FilePath, ImageError, Picture
from mri_stages.ingest.import_options import PixelOptions
from mri_stages.ingest.volume_file import list_slices
from mri_stages.ingest.zip_members import MEMBER_ERRORS

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
VOLUME_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img")
HEADER_SUFFIX = ".hdr"  # the header of a volume in two files
DATA_SUFFIX = ".img"  # its voxels

MAGIC_OFFSET = 128  # bytes of a DICOM file that may hold anything
MAGIC = b"DICM"
INDEX_NAME = "dicomdir"  # in lower case: the list of the DICOM files of a disc, without pixels
INDEX_CLASS = b"1.2.840.10008.1.3.10"  # the class of such a file, among its first elements
START_BYTES = 512  # that hold the class of a DICOM file
# Files of these suffixes often lie beside images; they are not opened to look for DICOM.
OTHER_SUFFIXES = (".csv", ".tsv", ".txt", ".md", ".json", ".xml", ".xlsx", ".pdf", ".html", ".zip")


class Format(Enum):
    """What a file is."""

    PILLOW = auto()
    DICOM = auto()
    VOLUME = auto()
    OTHER = auto()


class OpenedPicture(NamedTuple):
    """One image of a file; a volume has several."""

    name: str  # of the file in its set; FILE:INDEX for a slice
    picture: Picture
    subject: str = ""  # the id that the file gives, as text; empty where it gives none
    is_subject_private: bool = False  # whether that id may be written nowhere: number it


def find_format(path: FilePath, name: str) -> Format:
    """Return what the file at `path` is, by its `name`, or else by its first bytes."""
    file_name = PurePosixPath(name).name.lower()
    suffix = PurePosixPath(file_name).suffix
    if suffix in PILLOW_SUFFIXES:
        return Format.PILLOW
    if suffix in DICOM_SUFFIXES:
        return Format.DICOM
    if file_name.endswith(VOLUME_SUFFIXES):
        return Format.VOLUME
    if suffix in OTHER_SUFFIXES or file_name == INDEX_NAME:
        return Format.OTHER
    return Format.DICOM if has_magic(path) else Format.OTHER


def has_magic(path: FilePath) -> bool:
    """Return whether a file begins as a DICOM file does, and is no DICOMDIR of another name.

    One that cannot be read does not.
    """
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
    except (OSError, *MEMBER_ERRORS):
        return False
    return bytes(start[MAGIC_OFFSET:]).startswith(MAGIC) and INDEX_CLASS not in start


def select_images(files: FileTree) -> list[Parts]:
    """Return the visible files that are images, sorted; of a volume in two files the header.

    `list_data_files` names the others.
    """
    data_files = list_data_files(files)
    images = []
    for parts in sorted(files):
        is_candidate = not is_hidden(parts) and parts not in data_files
        if is_candidate and find_format(files[parts], parts[-1]) is not Format.OTHER:
            images.append(parts)
    return images


def list_data_files(files: Collection[Parts]) -> set[Parts]:
    """Return the .img files of which the header (.hdr) is among the files, in any case."""
    return set(find_headers(files))


def find_headers(files: Collection[Parts]) -> dict[Parts, Parts]:
    """Return the header (.hdr) of each .img file that has one among the files, in any case."""
    headers = {}
    for parts in files:
        if has_suffix(parts, HEADER_SUFFIX):
            headers[cut_suffix(parts)] = parts
    data_files = [parts for parts in files if has_suffix(parts, DATA_SUFFIX)]
    return {
        parts: headers[cut_suffix(parts)] for parts in data_files if cut_suffix(parts) in headers
    }


def has_suffix(parts: Parts, suffix: str) -> bool:
    return parts[-1].lower().endswith(suffix)


def cut_suffix(parts: Parts) -> Parts:
    return (*parts[:-1], PurePosixPath(parts[-1]).stem)


def open_pictures(path: FilePath, name: str, options: PixelOptions) -> list[OpenedPicture]:
    """Return the images of the file at `path`, called `name` in its set.

    A picture of a faulty file raises its ImageError when it is read, so that all faults of a set
    are counted. Raise InputError if an option is missing without which no file can be opened.
    """
    match find_format(path, name):
        case Format.PILLOW | Format.OTHER:  # Pillow's message says that it is no image
            return [OpenedPicture(name, PillowPicture(path))]
        case Format.DICOM:
            return [open_dicom(path, name, options)]
        case Format.VOLUME:
            return open_volume(path, name, options)


def open_dicom(path: FilePath, name: str, options: PixelOptions) -> OpenedPicture:
    """Return the image of a DICOM file, with PatientID as its subject."""
    try:
        header = read_header(path, options)
    except ImageError as error:
        return OpenedPicture(name, FaultyPicture(error.copy_text()))
    picture = DicomPicture(path, options, header.window)
    return OpenedPicture(name, picture, header.patient_id, is_subject_private=True)


def open_volume(path: FilePath, name: str, options: PixelOptions) -> list[OpenedPicture]:
    """Return the slices of a volume, with the volume as their subject."""
    try:
        slices = list_slices(path, options)
    except ImageError as error:
        return [OpenedPicture(name, FaultyPicture(error.copy_text()))]
    subject = cut_volume_suffix(name)
    return [OpenedPicture(f"{name}:{piece.index}", piece, subject) for piece in slices]


def cut_volume_suffix(name: str) -> str:
    """Return the name of a volume without .nii.gz and the like."""
    stem = name[:-3] if name.lower().endswith(".gz") else name
    return str(PurePosixPath(stem).with_suffix(""))
