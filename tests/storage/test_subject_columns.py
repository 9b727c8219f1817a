"""Columns of subjects: read in the order of the subjects, or refused in one line."""

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.files import is_missing
from mri_stages.storage.subject_columns import (
    MAX_GROUPS_OF_COLUMN,
    check_no_missing_value,
    describe_group_fault,
    describe_missing_values,
    read_subject_columns,
)

KEY = "params.yaml: evaluation.groups"
SUBJECTS = np.array([3, 1, 2])


@pytest.fixture(autouse=True)
def table(workspace: None) -> None:
    paths.DETAILS.mkdir(parents=True)
    paths.SUBJECT_TABLE.write_text("subject,sex,age\n1,F,50\n2, M ,\n3,M,70\n")


def read_error(*columns: str, subjects: np.ndarray | None = SUBJECTS) -> str:
    with pytest.raises(InputError) as caught:
        read_subject_columns(KEY, columns, subjects)
    return str(caught.value)


def test_read_subject_columns_in_the_order_of_subjects() -> None:
    columns = read_subject_columns(KEY, ["age", "sex"], SUBJECTS)
    assert columns == {"age": ["70", "50", ""], "sex": ["M", "F", "M"]}


def test_read_subject_columns_of_no_column() -> None:
    assert read_subject_columns(KEY, [], None) == {}


def test_read_subject_columns_without_ids() -> None:
    assert "[sex, age], but no row has a subject id" in read_error("sex", "age", subjects=None)


@pytest.mark.parametrize("column", ["subject", "site"])
def test_read_subject_columns_of_an_unknown_column(column: str) -> None:
    line = read_error("sex", column)
    assert repr(column) in line
    assert line.endswith("expected one of sex, age")


def test_read_subject_columns_of_a_table_of_ids() -> None:
    paths.SUBJECT_TABLE.write_text("subject\n1\n2\n3\n")
    assert "no column but the ids" in read_error("sex")


def test_read_subject_columns_counts_absent_subjects() -> None:
    line = read_error("sex", subjects=np.array([9, 1, 8, 8]))
    assert "no row of 2 subjects" in line
    assert "such as 8" in line


@pytest.mark.parametrize("text", ["", "NA", "n/a", "NaN", "null"])
def test_is_missing_of_words_for_nothing(text: str) -> None:
    assert is_missing(text)


@pytest.mark.parametrize("text", ["0", "none", "F"])
def test_is_missing_of_a_value(text: str) -> None:
    assert not is_missing(text)


def test_describe_missing_values_counts_subjects() -> None:
    texts = ["70", "NA", "", "", "50"]
    subjects = [1, 5, 6, 6, 7]
    fault = describe_missing_values(KEY, "age", texts, subjects)
    assert fault.startswith("age has no value for 2 of 4 subjects, such as 5,")
    assert fault.endswith(" evaluation.groups")


def test_check_no_missing_value_lets_values_pass() -> None:
    check_no_missing_value(KEY, "age", ["70", "50", "0"], SUBJECTS)
    with pytest.raises(InputError, match="such as 1,"):
        check_no_missing_value(KEY, "age", ["70", "", "0"], SUBJECTS)


@pytest.mark.parametrize("n_values", [2, MAX_GROUPS_OF_COLUMN])
def test_describe_group_fault_of_usable_columns(n_values: int) -> None:
    texts = [str(value) for value in range(n_values)]
    assert describe_group_fault(KEY, "site", [*texts, "", "NA", "1"]) == ""


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        ([str(value) for value in range(10, 11 + MAX_GROUPS_OF_COLUMN)], "11 different values"),
        (["x", "", "x"], "is x for all"),
        (["", "NA"], "no value for any"),
    ],
)
def test_describe_group_fault_of_other_columns(texts: list[str], fault: str) -> None:
    assert fault in describe_group_fault(KEY, "site", texts)
