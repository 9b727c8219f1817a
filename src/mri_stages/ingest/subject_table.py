"""Make the table of subjects, subjects.csv: number, id as text, and kept columns."""

from collections.abc import Sequence
from typing import NamedTuple

from mri_stages.errors import InputError
from mri_stages.ingest.csv_table import show
from mri_stages.ingest.image_set import ImageFile, ImageSet
from mri_stages.ingest.subject_ids import SubjectIds


class SubjectTable(NamedTuple):
    """The content of subjects.csv."""

    header: tuple[str, ...]
    rows: list[tuple[object, ...]]


def list_detail_columns(image_set: ImageSet) -> list[str]:
    """Return the names of the kept columns, which all images of a set have."""
    return list(image_set.files[0].details)


def make_subject_table(
    image_set: ImageSet, subjects: SubjectIds | None, columns: Sequence[str]
) -> SubjectTable | None:
    """Return a row for each subject, by number; None if subjects are unknown.

    There is no column `name` if no id has a text. InputError names a kept column that differs
    within a subject.
    """
    if subjects is None:
        return None
    has_names = any(subjects.names)
    rows: dict[int, tuple[object, ...]] = {}
    first_files: dict[int, ImageFile] = {}
    for file, number, name in zip(
        image_set.files, subjects.numbers.tolist(), subjects.names, strict=True
    ):
        first_file = first_files.setdefault(number, file)
        check_same_details(first_file, file, name or str(number), columns)
        names = (name,) if has_names else ()
        rows[number] = (number, *names, *(file.details[column] for column in columns))

    header = ("subject", *(("name",) if has_names else ()), *columns)
    return SubjectTable(header, [rows[number] for number in sorted(rows)])


def check_same_details(
    first_file: ImageFile, file: ImageFile, subject: str, columns: Sequence[str]
) -> None:
    """Raise InputError if a kept column differs between two images of one subject."""
    for column in columns:
        first_cell = first_file.details[column]
        cell = file.details[column]
        if cell != first_cell:
            first_value = f"{show(first_cell)} for {show(first_file.name)}"
            value = f"{show(cell)} for {show(file.name)}"
            raise InputError(
                f"--keep {show(column)}: differs within subject {show(subject)} ({first_value}, "
                f"{value}), expected one value per subject; correct the table, or do not keep it"
            )
