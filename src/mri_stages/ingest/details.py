"""Check and write what no training reads of a raw folder: its import, files and subjects.

A raw folder may have `import.json`, `files.csv` and `subjects.csv`. They are compared with the
rows and the subject ids, so that nobody reads a wrong name or a wrong age later.
"""

import csv
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mri_stages.errors import InputError
from mri_stages.ingest.import_options import FILE_NAME as IMPORT_OPTIONS_FILE
from mri_stages.ingest.import_options import read_import_record
from mri_stages.ingest.raw_folder import Raw
from mri_stages.storage.dataset import SPLITS
from mri_stages.storage.details import FILE_COLUMNS, SUBJECT_COLUMNS
from mri_stages.storage.files import write_csv, write_json

MAX_LISTED_COLUMNS = 20  # in a message
WHOLE_NUMBER = r"0|-?[1-9]\d{0,18}"

FILE_TABLE_FILE = "files.csv"
SUBJECT_TABLE_FILE = "subjects.csv"


class Table(NamedTuple):
    """A CSV of a raw folder."""

    columns: list[str]
    rows: list[dict[str, str]]


class Details(NamedTuple):
    """What no training reads of a raw folder; empty where the folder has no such file."""

    import_options: dict[str, Any]
    files: Table  # sorted by split and row
    subjects: Table


def read_details(folder: Path, raw: Raw) -> Details:
    """Return the details of a raw folder, whose content is `raw`; InputError if they are wrong."""
    files = read_table(folder / FILE_TABLE_FILE, FILE_COLUMNS)
    if files.rows:
        check_files(folder, files, raw)
    subjects = read_table(folder / SUBJECT_TABLE_FILE, SUBJECT_COLUMNS)
    if subjects.rows:
        check_subject_table(folder, subjects, raw)

    order = {split: place for place, split in enumerate(SPLITS)}
    files.rows.sort(key=lambda row: (order[row["split"]], int(row["row"])))
    return Details(read_options_if_any(folder), files, subjects)


def write_details(folder: Path, details: Details) -> None:
    """Write the details into a new folder; files without content have a header, or are {}."""
    folder.mkdir()
    write_json(folder / IMPORT_OPTIONS_FILE, details.import_options)
    write_table(folder / FILE_TABLE_FILE, details.files)
    write_table(folder / SUBJECT_TABLE_FILE, details.subjects)


def write_table(path: Path, table: Table) -> None:
    write_csv(path, table.columns, [list(row.values()) for row in table.rows])


def read_options_if_any(folder: Path) -> dict[str, Any]:
    """Return the content of import.json; none where the folder was made without the import."""
    if not os.path.lexists(folder / IMPORT_OPTIONS_FILE):
        return {}
    return read_import_record(folder).to_json()


def read_table(path: Path, expected_columns: Sequence[str]) -> Table:
    """Return the CSV at `path`; one without rows if there is no such file.

    Raise InputError if it lacks one of the expected columns.
    """
    if not os.path.lexists(path):
        return Table(list(expected_columns), [])
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:  # Excel begins with a BOM
            lines_of_fields = list(csv.reader(lines, strict=True))
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: {error}, expected a CSV with a header") from None
    header = lines_of_fields[0] if lines_of_fields else []

    missing = [column for column in expected_columns if column not in header]
    repeated = [column for column, count in Counter(header).items() if count > 1]
    if missing or repeated:
        fault = f"no column {missing[0]}" if missing else f"two columns {repeated[0]}"
        fault += f" in the header {','.join(header[:MAX_LISTED_COLUMNS])!a}"
        raise InputError(
            f"{path}: {fault}, expected {','.join(expected_columns)} and any further columns, with "
            "commas between"
        )
    rows = []
    for number, fields in enumerate(lines_of_fields[1:], start=2):
        if not fields:  # an empty line
            continue
        if len(fields) != len(header):
            raise InputError(
                f"{path}: line {number} has {len(fields)} fields, expected {len(header)}, as the "
                "header has"
            )
        rows.append(dict(zip(header, fields, strict=True)))
    return Table(header, rows)


def check_files(folder: Path, files: Table, raw: Raw) -> None:
    """Raise InputError if files.csv does not name each row once, with its class and subject."""
    path = folder / FILE_TABLE_FILE
    for row in files.rows:
        if row["split"] not in SPLITS:
            raise InputError(f"{path}: the split {row['split']!r}, expected train or test")

    for split in SPLITS:
        split_rows = [row for row in files.rows if row["split"] == split]
        check_row_numbers(path, split, split_rows, len(raw.labels[split]))
        for row in split_rows:
            check_file_row(folder, row, raw)


def check_row_numbers(
    path: Path, split: str, split_rows: Sequence[dict[str, str]], n_rows: int
) -> None:
    """Raise InputError if the rows of a split are not 0 to `n_rows` - 1, each once."""
    if len(split_rows) != n_rows:
        raise InputError(
            f"{path}: {len(split_rows)} rows of {split}, expected {n_rows}, as in {split}_data.pt"
        )
    numbers = {row["row"] for row in split_rows}
    missing = [number for number in range(n_rows) if str(number) not in numbers]
    if missing:
        raise InputError(
            f"{path}: {split} has no row {missing[0]}, expected 0 to {n_rows - 1}, each once"
        )


def check_file_row(folder: Path, row: dict[str, str], raw: Raw) -> None:
    """Raise InputError if a row of files.csv has another class or subject than the tensors."""
    path = folder / FILE_TABLE_FILE
    split = row["split"]
    number = int(row["row"])
    class_name = raw.classes[raw.labels[split][number]]
    if row["class"] != class_name:
        raise InputError(
            f"{path}: {split} row {number} is of class {row['class']!r}, expected {class_name!r}, "
            f"as in {split}_labels.pt"
        )

    subject = ""
    if raw.subjects:
        subject = str(raw.subjects[split][number])
    if row["subject"] != subject:
        raise InputError(
            f"{path}: {split} row {number} is of subject {row['subject']!r}, expected {subject!r}, "
            f"as in {split}_subjects.pt{'' if raw.subjects else ', which is not there'}"
        )


def check_subject_table(folder: Path, subjects: Table, raw: Raw) -> None:
    """Raise InputError if subjects.csv does not have each subject id of the rows once."""
    path = folder / SUBJECT_TABLE_FILE
    if not raw.subjects:
        raise InputError(
            f"{path}: no row has a subject id; expected train_subjects.pt and test_subjects.pt"
        )

    texts = [row["subject"] for row in subjects.rows]
    for text, count in Counter(texts).items():
        if not re.fullmatch(WHOLE_NUMBER, text):
            raise InputError(f"{path}: the subject {text!r}, expected a whole number")
        if count > 1:
            raise InputError(f"{path}: {count} rows of subject {text}, expected one")

    known_ids = {int(text) for text in texts}
    row_ids = set(np.concatenate([*raw.subjects.values()]).tolist())
    check_same_ids(path, sorted(row_ids - known_ids), "that have images, but no row here")
    check_same_ids(path, sorted(known_ids - row_ids), "that have no image; leave them out")


def check_same_ids(path: Path, ids: Sequence[int], fault: str) -> None:
    """Raise InputError that says what is wrong with these ids, if there are any."""
    if ids:
        raise InputError(f"{path}: subjects {fault}: {len(ids)}, such as {ids[0]}")
