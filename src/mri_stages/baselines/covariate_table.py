"""Check the columns of the table of subjects that `evaluation.covariates` names, and read them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.baselines.covariates import Covariate
from mri_stages.errors import InputError
from mri_stages.storage.details import read_subject_table

CONFIG_KEY = "params.yaml: evaluation.covariates"
ID_COLUMN = "subject"
MISSING_WORDS = ("", "na", "n/a", "nan", "null")  # in small letters

SubjectRow = Mapping[str, str | None]  # by column; None is an empty field


def read_covariates(columns: Sequence[str], subjects: NDArray[np.int64] | None) -> list[Covariate]:
    """Return the named columns of data/details/subjects.csv for the subjects (U,) of units.

    InputError if a column or a subject is not there, or if a column cannot be used.
    """
    if not columns:
        return []
    if subjects is None:
        raise InputError(
            f"{CONFIG_KEY} is {format_names(columns)}, but no row has a subject id; expected ids "
            "in the raw folder, or nothing here"
        )
    table = read_subject_table()
    for column in columns:
        check_column_exists(column, table)
    row_by_subject = {str(row[ID_COLUMN]): row for row in table}
    check_all_subjects(subjects, row_by_subject)

    covariates = []
    for column in columns:
        texts = [row_by_subject[str(subject)][column] or "" for subject in subjects]
        texts = [text.strip() for text in texts]
        check_no_missing_value(column, texts, subjects)
        covariate = parse_covariate(column, texts, subjects)
        check_values_differ(covariate, subjects)
        covariates.append(covariate)
    return covariates


def format_names(names: Sequence[str]) -> str:
    """Return names as params.yaml holds them."""
    return f"[{', '.join(names)}]"


def check_column_exists(column: str, table: Sequence[SubjectRow]) -> None:
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
        f"{CONFIG_KEY}: {paths.SUBJECT_TABLE} has no column {column!r}"
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


def check_no_missing_value(column: str, texts: Sequence[str], subjects: NDArray[np.int64]) -> None:
    """Raise InputError that counts the subjects without a value."""
    missing_mask = np.array([text.lower() in MISSING_WORDS for text in texts])
    missing_subjects = np.unique(subjects[missing_mask])
    if len(missing_subjects):
        raise InputError(
            f"{paths.SUBJECT_TABLE}: {column} has no value for {len(missing_subjects)} of "
            f"{len(np.unique(subjects))} subjects, such as {missing_subjects[0]}, expected one "
            f"for each; fill them in, or take {column} out of evaluation.covariates"
        )


def parse_covariate(column: str, texts: Sequence[str], subjects: NDArray[np.int64]) -> Covariate:
    """Return a column of numbers if all its texts are numbers, of texts if none is; else refuse."""
    numbers = np.array([parse_number(text) for text in texts])
    number_mask = np.isfinite(numbers)
    if number_mask.all():
        return Covariate(column, numbers)
    if not number_mask.any():
        return Covariate(column, np.array(texts))

    # A word among numbers may be a misprint, or the numbers may be codes of something.
    index = int(np.flatnonzero(~number_mask)[0])
    n_words = len(np.unique(subjects[~number_mask]))
    raise InputError(
        f"{paths.SUBJECT_TABLE}: {column} is a number for all but {n_words} subjects, such as "
        f"{texts[index]!r} of subject {subjects[index]}, expected all numbers or all texts"
    )


def parse_number(text: str) -> float:
    """Return the number, NaN if the text is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def check_values_differ(covariate: Covariate, subjects: NDArray[np.int64]) -> None:
    """Raise InputError if all values are equal, or if each text is of one subject, like a name."""
    n_values = len(np.unique(covariate.values))
    fault = ""
    if n_values == 1:
        fault = f"{covariate.name} is {covariate.values[0]} for all subjects"
    elif not covariate.is_number and n_values == len(np.unique(subjects)) > 2:
        fault = f"{covariate.name} has another text for each subject, such as "
        fault += repr(str(covariate.values[0]))
    if fault:
        raise InputError(
            f"{paths.SUBJECT_TABLE}: {fault}, expected values that several subjects share, or "
            f"numbers that differ; take {covariate.name} out of evaluation.covariates"
        )
