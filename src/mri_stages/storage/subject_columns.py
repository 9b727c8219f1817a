"""Read columns of data/details/subjects.csv for the subjects of rows, or refuse them in one line.

A `key` is the param that names the columns, such as "params.yaml: evaluation.covariates".
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.details import read_subject_table
from mri_stages.storage.files import is_missing

ID_COLUMN = "subject"
MAX_GROUPS_OF_COLUMN = 10

SubjectRow = Mapping[str, str | None]  # by column; None is an empty field
Texts = Sequence[str]  # (U,) of a column, without spaces around them; "" is an empty field


def read_subject_columns(
    key: str, columns: Sequence[str], subjects: NDArray[np.int64] | None
) -> dict[str, Texts]:
    """Return the texts of the named columns for these subjects (U,), by column.

    InputError if ids are unknown, or if a column or a subject is not in the table.
    """
    if not columns:
        return {}
    if subjects is None:
        raise InputError(
            f"{key} is {format_names(columns)}, but no row has a subject id; expected ids "
            "in the raw folder, or nothing here"
        )
    table = read_subject_table()
    for column in columns:
        check_column_exists(key, column, table)
    row_by_subject = {str(row[ID_COLUMN]): row for row in table}
    check_all_subjects(subjects, row_by_subject)

    texts_by_column: dict[str, Texts] = {}
    for column in columns:
        texts = [row_by_subject[str(subject)][column] or "" for subject in subjects]
        texts_by_column[column] = [text.strip() for text in texts]
    return texts_by_column


def format_names(names: Sequence[str]) -> str:
    """Return names as params.yaml holds them."""
    return f"[{', '.join(names)}]"


def check_column_exists(key: str, column: str, table: Sequence[SubjectRow]) -> None:
    """Raise InputError if the table of subjects has no such column, or it is that of the ids."""
    known_columns = list(table[0]) if table else [ID_COLUMN]
    usable_columns = [name for name in known_columns if name != ID_COLUMN]
    if column in usable_columns:
        return
    expected = f"one of {', '.join(usable_columns)}"
    if not usable_columns:
        expected = (
            "nothing, since it has no column but the ids; 'mri-stages import --keep' keeps some"
        )
    raise InputError(
        f"{key}: {paths.SUBJECT_TABLE} has no column {column!r}"
        f"{' of values' if column == ID_COLUMN else ''}, expected {expected}"
    )


def check_all_subjects(
    subjects: NDArray[np.int64], row_by_subject: Mapping[str, SubjectRow]
) -> None:
    """Raise InputError if a subject of the images is not in the table."""
    missing = [id_ for id_ in np.unique(subjects).tolist() if str(id_) not in row_by_subject]
    if missing:
        raise InputError(
            f"{paths.SUBJECT_TABLE}: no row of {len(missing)} subjects that have images, such as "
            f"{missing[0]}; add them to the subjects.csv of the raw folder"
        )


def check_no_missing_value(
    key: str, column: str, texts: Texts, subjects: NDArray[np.int64]
) -> None:
    """Raise InputError that counts the subjects (U,) without a value."""
    fault = describe_missing_values(key, column, texts, subjects)
    if fault:
        raise InputError(f"{paths.SUBJECT_TABLE}: {fault}")


def describe_missing_values(key: str, column: str, texts: Texts, subjects: Iterable[object]) -> str:
    """Return how many of the subjects (U,) have no value; "" if none lacks it."""
    text_by_subject = dict(zip(subjects, texts, strict=True))
    missing = [id_ for id_, text in text_by_subject.items() if is_missing(text)]
    if not missing:
        return ""
    return (
        f"{column} has no value for {len(missing)} of "
        f"{len(text_by_subject)} subjects, such as {missing[0]}, expected one "
        f"for each; fill them in, or take {column} out of {name_key(key)}"
    )


def describe_group_fault(key: str, column: str, texts: Texts) -> str:
    """Return why a column cannot divide subjects into groups; "" if it can.

    Fields without a value are not counted.
    """
    values = sorted({text for text in texts if not is_missing(text)})
    if len(values) > MAX_GROUPS_OF_COLUMN:
        return (
            f"{column} has {len(values)} different values, such as {values[0]} and {values[-1]}, "
            f"expected at most {MAX_GROUPS_OF_COLUMN}; add a column of ranges to the subjects.csv "
            f"of the raw folder, such as {column}_range, and name it in {name_key(key)}"
        )
    if len(values) > 1:
        return describe_spellings(column, values)
    fault = f"{column} has no value for any subject"
    if values:
        fault = f"{column} is {values[0]} for all subjects that have a value"
    return f"{fault}, expected two values or more; take {column} out of {name_key(key)}"


def describe_spellings(column: str, values: Iterable[str]) -> str:
    """Return which two values of a column are one in two spellings, such as F and f, or 1 and 1.0.

    "" if there are none. Each would be a group of its own.
    """
    value_by_key: dict[str | float, str] = {}
    for value in sorted(set(values)):
        other_value = value_by_key.setdefault(make_value_key(value), value)
        if other_value != value:
            return (
                f"{column} has two spellings of one value, {other_value!r} and {value!r}, expected "
                "one; correct the subjects.csv of the raw folder"
            )
    return ""


def make_value_key(value: str) -> str | float:
    """Return what the spellings of a value share: its number, or its letters without capitals."""
    try:
        return float(value)
    except ValueError:
        return " ".join(value.casefold().split())


def name_key(key: str) -> str:
    """Return the dotted key without its file."""
    return key.rpartition(": ")[2]
