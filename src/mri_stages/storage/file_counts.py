"""How many files an import saw, took and left out: the key `files` of import.json."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, model_validator

from mri_stages import paths
from mri_stages.storage.files import read_json

FILES_KEY = "files"  # of import.json


class Reason(StrEnum):
    """Why a file was left out."""

    EXCLUDED = "excluded"
    OUTSIDE_SPLITS = "outside_splits"
    NO_CLASS = "no_class"
    NO_ROW = "no_row"
    NO_IMAGE = "no_image"


DESCRIPTIONS = {
    Reason.EXCLUDED: "by --exclude",
    Reason.OUTSIDE_SPLITS: "beside the split folders",
    Reason.NO_CLASS: "without a class",
    Reason.NO_ROW: "without a row in the table",
    Reason.NO_IMAGE: "no images, or hidden",
}


class FileCounts(BaseModel):
    """The files of a source; a table of the import is not among them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seen: NonNegativeInt
    taken: NonNegativeInt
    """Files from which images were read. A volume has several images, or two files."""
    left_out: dict[Reason, PositiveInt]
    rows_without_file: NonNegativeInt = 0
    """Rows of a table that name a file which is not in the source."""

    @model_validator(mode="after")
    def check_sum(self) -> Self:
        n_files = self.taken + sum(self.left_out.values())
        if n_files != self.seen:
            raise ValueError(f"{n_files} files taken or left out, expected {self.seen}")
        return self

    def describe_left_out(self) -> list[str]:
        """Return a phrase for each reason, with its number of files."""
        return [f"{count} {DESCRIPTIONS[reason]}" for reason, count in self.left_out.items()]


class CountedImport(BaseModel):
    """What is read here of import.json."""

    files: FileCounts | None = None


def read_file_counts() -> FileCounts | None:
    """Return the counts in data/details/import.json; None where an import recorded none."""
    return read_json(paths.IMPORT_OPTIONS, CountedImport).files
