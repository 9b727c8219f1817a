from pathlib import Path

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.baselines.covariate_table import read_covariates
from mri_stages.errors import InputError

SUBJECTS = np.array([3, 7, 3, 9])  # of units: subject 3 has two

TABLE = """subject,name,age,sex,site,visits,weight,stage,note
3,s3,60,F,Bern,2,70,1,
7,s7,71.5,M,Bern,2,NA,2a,x
9,s9,8e1, F ,Bern,2,81,3,n/a
"""


@pytest.fixture(autouse=True)
def table(workspace: Path) -> None:
    paths.DETAILS.mkdir(parents=True)
    paths.SUBJECT_TABLE.write_text(TABLE)


def read_error(*columns: str, subjects: np.ndarray | None = SUBJECTS) -> str:
    with pytest.raises(InputError) as caught:
        read_covariates(columns, subjects)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_numbers_are_read_for_each_unit() -> None:
    (age,) = read_covariates(["age"], SUBJECTS)
    assert age.is_number
    assert age.values.tolist() == [60, 71.5, 60, 80]


def test_texts_are_read_without_spaces_around_them() -> None:
    (sex,) = read_covariates(["sex"], SUBJECTS)
    assert not sex.is_number
    assert sex.values.tolist() == ["F", "M", "F", "F"]


def test_no_column_needs_no_table() -> None:
    paths.SUBJECT_TABLE.unlink()
    assert read_covariates([], None) == []


def test_columns_without_ids_are_refused() -> None:
    assert "no row has a subject id" in read_error("age", subjects=None)


def test_unknown_column_is_refused_with_those_that_exist() -> None:
    message = read_error("Age")
    assert "'Age'" in message
    assert "name, age, sex" in message


def test_column_of_ids_is_refused() -> None:
    assert "'subject'" in read_error("subject")


def test_table_without_columns_is_refused() -> None:
    paths.SUBJECT_TABLE.write_text("subject\n3\n7\n9\n")
    assert "no column 'age'" in read_error("age")


def test_table_of_no_subject_is_refused() -> None:
    paths.SUBJECT_TABLE.write_text("subject\n")
    assert "no column 'age'" in read_error("age")


def test_subject_without_a_row_is_refused() -> None:
    message = read_error("age", subjects=np.array([3, 4, 5]))
    assert "2 subjects" in message
    assert "such as 4" in message


@pytest.mark.parametrize(("column", "subject"), [("note", 3), ("weight", 7)])
def test_missing_values_are_counted(column: str, subject: int) -> None:
    message = read_error(column)
    assert column in message
    assert f"for {2 if column == 'note' else 1} of 3 subjects, such as {subject}" in message


@pytest.mark.parametrize("column", ["site", "visits"])
def test_constant_column_is_refused(column: str) -> None:
    assert f"{column} is" in read_error(column)


def test_text_of_its_own_for_each_subject_is_refused() -> None:
    assert "another text for each subject" in read_error("name")


def test_text_among_numbers_is_refused() -> None:
    assert "'2a' of subject 7" in read_error("stage")


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        (('"60,5"', '"71,5"', '"60,5"'), "'60,5'"),
        (("F", "M", "f"), "'F' and 'f'"),
        (("Type 1", "type  1", "x"), "'Type 1' and 'type  1'"),
    ],
)
def test_texts_that_hide_a_value_are_refused(texts: tuple[str, ...], named: str) -> None:
    rows = [f"{id_},{text}" for id_, text in zip((3, 7, 9), texts, strict=True)]
    paths.SUBJECT_TABLE.write_text("\n".join(["subject,v", *rows]) + "\n")
    assert named in read_error("v")
