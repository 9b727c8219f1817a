"""Read data/details: what no training reads of a raw folder.

It says where the rows come from, and what else is known of the subjects. The stage `load` always
writes its three files, which are empty where the raw folder has none. ingest/import_options.py
reads the options of the import.
"""

from collections.abc import Mapping

from mri_stages import paths
from mri_stages.storage.files import read_csv

FILE_COLUMNS = ("row", "split", "class", "subject", "file")  # further ones are of a user's table
SUBJECT_COLUMNS = ("subject",)  # likewise

TableRow = Mapping[str, str | None]  # by column; None is an empty field
FileNames = Mapping[tuple[str, int], str]  # by split and row within it


def read_file_table() -> list[dict[str, str | None]]:
    """Return a row per image: FILE_COLUMNS and further columns; none where files are unknown."""
    return read_csv(paths.FILE_TABLE, dict[str, str | None], least=0)


def read_subject_table() -> list[dict[str, str | None]]:
    """Return a row per subject: its id and further columns; none where nothing else is known."""
    return read_csv(paths.SUBJECT_TABLE, dict[str, str | None], least=0)


def read_file_names() -> FileNames:
    """Return the name of the file of each row; empty where files are unknown."""
    names = {}
    for row in read_file_table():
        names[str(row["split"]), int(row["row"] or 0)] = row["file"] or ""
    return names


def name_row(index: int, n_train: int, names: FileNames) -> str:
    """Return the file of a row, by its index among all rows, or else "test row 3"."""
    split = "train"
    row = index
    if index >= n_train:
        split = "test"
        row = index - n_train
    return names.get((split, row)) or f"{split} row {row}"
