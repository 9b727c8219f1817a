"""Number the strata of `cross_validation.stratify`, whose shares the folds keep."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mri_stages.errors import InputError
from mri_stages.preprocessing.folds import count_subjects_of_strata
from mri_stages.storage.subject_columns import (
    Texts,
    describe_group_fault,
    describe_missing_values,
    read_subject_columns,
)

CONFIG_KEY = "params.yaml: cross_validation.stratify"

Integers = NDArray[np.int64]  # (N,)


def read_strata(columns: Sequence[str], labels: Integers, subjects: Integers | None) -> Integers:
    """Return the stratum (N,) of each row: its class with its subject's values of the columns.

    labels, subjects: (N,). InputError if a column is not in data/details/subjects.csv, or cannot
    be used.
    """
    texts_by_column = read_subject_columns(CONFIG_KEY, columns, subjects)
    if subjects is None:  # and no column is named, else that is refused
        return labels
    for column, texts in texts_by_column.items():
        fault = describe_stratum_fault(column, texts, subjects)
        if fault:
            raise InputError(fault)

    return number_strata(labels, texts_by_column)


def describe_stratum_fault(column: str, texts: Texts, subjects: Iterable[object]) -> str:
    """Return why the folds cannot keep the shares of a column; "" if they can.

    texts: of each of the subjects, whose ids may occur more than once.
    """
    fault = describe_missing_values(CONFIG_KEY, column, texts, subjects)
    fault = fault or describe_group_fault(CONFIG_KEY, column, texts)
    return f"{CONFIG_KEY}: {fault}" if fault else ""


def number_strata(labels: Integers, texts_by_column: Mapping[str, Texts]) -> Integers:
    """Return a number (N,) for each row, equal where the label (N,) and all texts (N,) are."""
    strata = labels
    for texts in texts_by_column.values():
        _, value_numbers = np.unique(np.array(texts), return_inverse=True)
        pairs = np.stack([strata, value_numbers])
        _, strata = np.unique(pairs, axis=1, return_inverse=True)
    return strata


def describe_small_strata(strata: Integers, subjects: Integers, n_folds: int) -> str:
    """Return how many strata have fewer subjects than there are folds; "" if none has."""
    subject_counts = count_subjects_of_strata(strata, subjects)
    n_small = int((subject_counts < n_folds).sum())
    if not n_small:
        return ""
    return (
        f"{CONFIG_KEY}: {n_small} of {len(subject_counts)} groups of class and column have fewer "
        f"than {n_folds} subjects, so they are not in all folds"
    )
