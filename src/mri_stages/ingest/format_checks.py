"""Look at a set of opened files as a whole: what all of them have to be told of, in a few lines."""

from collections.abc import Sequence
from pathlib import Path

from mri_stages.ingest.image_set import ImageFile
from mri_stages.ingest.import_options import PixelOptions


def check_opened_files(source: Path, files: Sequence[ImageFile], options: PixelOptions) -> None:
    """Raise InputError that counts the faults which opening the files has shown.

    Nothing was read but the headers of DICOM files and of volumes, so this takes no time.
    """


def describe_formats(
    files: Sequence[ImageFile], classes: Sequence[str], options: PixelOptions
) -> list[str]:
    """Return notes and warnings on a set as a whole, of DICOM files and of volumes in it."""
    return []
