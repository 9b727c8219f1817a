"""Tables: what the first line means, and which files are too large to be one."""

from pathlib import Path

import pytest

from mri_stages.errors import InputError
from mri_stages.ingest import csv_table
from mri_stages.ingest.csv_table import (
    MAX_LISTED_COLUMNS,
    MAX_SHOWN_LETTERS,
    Table,
    check_columns,
    list_columns,
    read_table,
    show,
)

TEXT = "file,class\n1.png,a\n\n2.png,b\n"
COLUMNS = ("file", "class")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(TEXT)
    return path


def test_read_table_skips_empty_lines(path: Path) -> None:
    table = read_table(path, "t.csv", COLUMNS)
    assert table.columns == ["file", "class"]
    assert table.list_cells("class") == ["a", "b"]
    assert [row.line for row in table.rows] == [2, 4]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_read_table_knows_the_separator_by_the_columns(path: Path, separator: str) -> None:
    path.write_text(TEXT.replace(",", separator).replace("1.png", '"1,;\t.png"'))
    assert read_table(path, "t.csv", COLUMNS).list_cells("file") == ["1,;\t.png", "2.png"]


def test_read_table_at_the_limit_of_bytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "MAX_TABLE_BYTES", len(TEXT))
    assert len(read_table(path, "t.csv", COLUMNS).rows) == 2
    monkeypatch.setattr(csv_table, "MAX_TABLE_BYTES", len(TEXT) - 1)
    with pytest.raises(InputError, match=r"t\.csv: over 27 bytes"):
        read_table(path, "t.csv", COLUMNS)


def test_read_table_at_the_limit_of_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "MAX_TABLE_ROWS", 2)
    assert len(read_table(path, "t.csv", COLUMNS).rows) == 2
    monkeypatch.setattr(csv_table, "MAX_TABLE_ROWS", 1)
    with pytest.raises(InputError, match=r"t\.csv: over 1 rows"):
        read_table(path, "t.csv", COLUMNS)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no row"),
        (b"file,class\n", "no row"),
        (bytes(9), "not a text"),
        (b"file,class\n1.png\n", "line 2 has 1 cells"),
        (b"file,class\n\xff.png,a\n", "line 2 is not UTF-8"),
        ("file,class\n".encode("utf-16"), "UTF-16"),
        (b'file,class\n"1.png,a\n', "line 2: "),
    ],
)
def test_read_table_names_what_is_wrong(path: Path, data: bytes, text: str) -> None:
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"t\.csv: .*{text}"):
        read_table(path, "t.csv", COLUMNS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("age", "age"),
        ("", "(empty)"),
        ("x" * MAX_SHOWN_LETTERS, "x" * MAX_SHOWN_LETTERS),
        ("x" * (MAX_SHOWN_LETTERS + 1), "x" * MAX_SHOWN_LETTERS + "..."),
    ],
)
def test_show_cuts_a_long_cell(text: str, shown: str) -> None:
    assert show(text) == shown


@pytest.mark.parametrize("n_more", [0, 1])
def test_list_columns_cuts_a_long_header(n_more: int) -> None:
    columns = ["x"] * MAX_LISTED_COLUMNS
    listed = list_columns(columns + ["y"] * n_more).split(", ")
    assert listed == columns + ["..."] * n_more


@pytest.mark.parametrize("columns", [["file", "kind"], ["file", "class", "class"]])
def test_check_columns_names_one_that_is_not_there_once(columns: list[str]) -> None:
    table = Table("t.csv", columns, [])
    with pytest.raises(InputError, match=r"t\.csv: .*class"):
        check_columns(table, COLUMNS)
    check_columns(table, ["file"])
