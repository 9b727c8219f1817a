"""Read a table of texts, with a line of column names, as spreadsheets and databases write it.

The separator is a comma, a semicolon or a tab. The text is UTF-8, with or without a BOM.
"""

import csv
import io
from collections.abc import Collection, Sequence
from typing import NamedTuple

from mri_stages.console import make_printable
from mri_stages.errors import InputError
from mri_stages.ingest.bounded_bytes import read_part
from mri_stages.ingest.file_tree import normalise_text
from mri_stages.ingest.image_set import FilePath
from mri_stages.ingest.zip_members import MEMBER_ERRORS

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
MAX_TABLE_BYTES = 2**28
MAX_TABLE_ROWS = 2**22  # which take some 300 bytes of memory each
MAX_HEADER_LETTERS = 2**16  # of the first line
MAX_LISTED_COLUMNS = 40  # in an error message
MAX_SHOWN_LETTERS = 60  # of a cell in a message
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class TableRow(NamedTuple):
    """The cells of a row, and its line in the file (the last one, if a cell has several)."""

    line: int
    cells: list[str]


class Table(NamedTuple):
    """The rows of a table. Names and cells have no spaces around them, and composed letters."""

    name: str  # of the file, for messages
    columns: list[str]
    rows: list[TableRow]

    def list_cells(self, column: str) -> list[str]:
        """Return the cells of a column, one per row."""
        index = self.columns.index(column)
        return [row.cells[index] for row in self.rows]


def read_table(path: FilePath, name: str, columns: Collection[str]) -> Table:
    """Return the table at `path`; `columns` are those that it should have, see `check_columns`.

    `name` is that of the file in messages. InputError names a line that is wrong.
    """
    text = decode_text(read_limited_bytes(path, name), name)
    separator = find_separator(text[:MAX_HEADER_LETTERS], columns)
    table = parse_table(text, separator, name)
    if not table.rows:
        raise InputError(f"{name}: no row below the line of column names")
    return table


def read_limited_bytes(path: FilePath, name: str) -> bytes:
    """Return the bytes of a file, perhaps in a zip; InputError if it is damaged or too large."""
    try:
        with path.open("rb") as file:
            data = read_part(file, MAX_TABLE_BYTES + 1)
    except MEMBER_ERRORS as error:
        raise InputError(f"{name}: unreadable in its zip ({error})") from None
    if len(data) > MAX_TABLE_BYTES:
        raise InputError(f"{name}: over {MAX_TABLE_BYTES:,} bytes, expected a smaller table")
    return data


def decode_text(data: bytes, name: str) -> str:
    """Return the text of a table; InputError if it is not UTF-8."""
    if data.startswith(UTF_16_MARKS):
        raise InputError(f"{name}: a text of UTF-16, expected UTF-8; save it as 'CSV UTF-8'")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{name}: line {line} is not UTF-8, expected a CSV of UTF-8; save it as 'CSV UTF-8'"
        ) from None
    if "\0" in text:
        raise InputError(f"{name}: not a text, expected a CSV")
    return text


def find_separator(text: str, columns: Collection[str]) -> str:
    """Return the separator with which the first line names the most of `columns`.

    Of those that name as many, it is the one that gives the most columns.
    """

    def rate(separator: str) -> tuple[int, int]:
        try:
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
        except csv.Error:
            return 0, 0
        known_names = {clean_cell(name) for name in names} & set(columns)
        return len(known_names), len(names)

    return max(SEPARATORS, key=rate)


def parse_table(text: str, separator: str, name: str) -> Table:
    """Return the rows of a text; InputError names a line that is not like the first."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        columns = [clean_cell(column) for column in next(lines, [])]
        for texts in lines:
            cells = [clean_cell(text) for text in texts]
            if any(cells):
                rows.append(TableRow(lines.line_num, cells))
            if len(rows) > MAX_TABLE_ROWS:
                raise InputError(f"{name}: over {MAX_TABLE_ROWS:,} rows, expected a smaller table")
    except csv.Error as error:
        raise InputError(
            f"{name}: line {lines.line_num}: {error}, expected a CSV with a {SEPARATORS[separator]}"
        ) from None

    for row in rows:
        if len(row.cells) != len(columns):
            raise InputError(
                f"{name}: line {row.line} has {len(row.cells)} cells, expected {len(columns)} as "
                f"in the first line (separator: {SEPARATORS[separator]})"
            )
    return Table(name, columns, rows)


def clean_cell(text: str) -> str:
    return normalise_text(text.strip())


def check_columns(table: Table, columns: Collection[str], option: str = "") -> None:
    """Raise InputError, with the columns of the table, if one of these is not there, or twice.

    `option` is the argument that names another one.
    """
    for column in columns:
        count = table.columns.count(column)
        if count > 1:
            raise InputError(f"{table.name}: {count} columns {show(column)}, expected one")
        if count == 0:
            advice = f"; {option} names the right one" if option else ""
            raise InputError(
                f"{table.name}: no column {show(column)}, its first line names "
                f"{list_columns(table.columns)}{advice}"
            )


def list_columns(columns: Sequence[str]) -> str:
    """Return the names of columns for a message, with `...` if there are very many."""
    ellipsis = ", ..." if len(columns) > MAX_LISTED_COLUMNS else ""
    return ", ".join(show(column) for column in columns[:MAX_LISTED_COLUMNS]) + ellipsis


def show(text: str) -> str:
    """Return a cell as messages show it: printable, and cut if it is very long."""
    is_long = len(text) > MAX_SHOWN_LETTERS
    shown = text[:MAX_SHOWN_LETTERS] + "..." if is_long else text
    return make_printable(shown) or "(empty)"
