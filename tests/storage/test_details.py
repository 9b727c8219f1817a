from pathlib import Path

import pytest

from mri_stages import paths
from mri_stages.storage.details import name_row, read_file_names, read_subject_table

NAMES = {("train", 1): "a.png", ("test", 0): "b.png"}


def test_file_names_are_by_split_and_row(workspace: Path) -> None:
    paths.DETAILS.mkdir(parents=True)
    header = "row,split,class,subject,file,age\n"
    paths.FILE_TABLE.write_text(header + "1,train,Ill,,a.png,40\n0,test,Ill,,b.png,\n")
    assert read_file_names() == NAMES


def test_tables_may_be_a_header_only(workspace: Path) -> None:
    paths.DETAILS.mkdir(parents=True)
    paths.FILE_TABLE.write_text("row,split,class,subject,file\n")
    paths.SUBJECT_TABLE.write_text("subject,age\n")
    assert read_file_names() == {}
    assert read_subject_table() == []


@pytest.mark.parametrize(
    ("index", "name"), [(0, "train row 0"), (1, "a.png"), (2, "b.png"), (3, "test row 1")]
)
def test_row_is_named_by_its_file_or_number(index: int, name: str) -> None:
    assert name_row(index, 2, NAMES) == name
