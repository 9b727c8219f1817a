"""Check the columns of the table of subjects that `evaluation.covariates` names, and read them."""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.baselines.covariates import Covariate
from mri_stages.errors import InputError
from mri_stages.storage.subject_columns import (
    check_no_missing_value,
    describe_spellings,
    read_subject_columns,
)

CONFIG_KEY = "params.yaml: evaluation.covariates"
DECIMAL_COMMA = r"[-+]?\d+,\d+"


def read_covariates(columns: Sequence[str], subjects: NDArray[np.int64] | None) -> list[Covariate]:
    """Return the named columns of data/details/subjects.csv for the subjects (U,) of units.

    InputError if a column or a subject is not there, or if a column cannot be used.
    """
    texts_by_column = read_subject_columns(CONFIG_KEY, columns, subjects)
    if subjects is None or not texts_by_column:
        return []
    covariates = []
    for column, texts in texts_by_column.items():
        check_no_missing_value(CONFIG_KEY, column, texts, subjects)
        covariate = parse_covariate(column, texts, subjects)
        check_values_differ(covariate, subjects)
        covariates.append(covariate)
    return covariates


def parse_covariate(column: str, texts: Sequence[str], subjects: NDArray[np.int64]) -> Covariate:
    """Return a column of numbers if all its texts are numbers, of texts if none is; else refuse."""
    numbers = np.array([parse_number(text) for text in texts])
    number_mask = np.isfinite(numbers)
    if number_mask.all():
        return Covariate(column, numbers)
    if not number_mask.any():
        check_text_values(column, texts)
        return Covariate(column, np.array(texts))

    # A word among numbers may be a misprint, or the numbers may be codes of something.
    index = int(np.flatnonzero(~number_mask)[0])
    n_words = len(np.unique(subjects[~number_mask]))
    raise InputError(
        f"{paths.SUBJECT_TABLE}: {column} is a number for all but {n_words} subjects, such as "
        f"{texts[index]!r} of subject {subjects[index]}, expected all numbers or all texts"
    )


def check_text_values(column: str, texts: Sequence[str]) -> None:
    """Raise InputError if texts are numbers with a comma, or if two are one value in two spellings.

    Each text would be a value of its own, and no order among them would be known.
    """
    fault = describe_spellings(column, texts)
    if all(re.fullmatch(DECIMAL_COMMA, text) for text in texts):
        fault = (
            f"{column} has numbers with a comma, such as {texts[0]!r}, expected a point; correct "
            "the subjects.csv of the raw folder"
        )
    if fault:
        raise InputError(f"{paths.SUBJECT_TABLE}: {fault}")


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
