"""Find the new subjects that a model got wrong with the most confidence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.storage.predictions import Predictions, average_by_subject, split_repeats

MAX_FAILURES = 5  # of a model


class WrongUnit(NamedTuple):
    """A subject with one of its classes (without ids, a row) that a model got wrong."""

    subject: int | None
    label: int  # actual class
    answer: int  # place of the wrong answer among the answers
    probability: float  # of the wrong answer, the mean over the rows
    row: int  # index among all rows, of the row whose probability is nearest to the mean
    row_probability: float


class Answers(NamedTuple):
    """What a model can answer: the classes, or two sides where a class is the negative one."""

    names: list[str]
    labels: NDArray[np.int64]  # (N,) the right answer of each row
    probabilities: NDArray[np.float64]  # (N, A)


def list_answers(
    predictions: Predictions, classes: Sequence[str], negative_label: int | None
) -> Answers:
    """Return the answers of rows (N,): with a `negative_label`, that class or any other one."""
    probabilities = predictions.probabilities.astype(np.float64)
    if negative_label is None:
        return Answers(list(classes), predictions.labels, probabilities)
    negative = probabilities[:, negative_label]
    name = classes[negative_label]
    sides = np.stack([negative, 1 - negative], axis=1)
    is_positive = predictions.labels != negative_label
    return Answers([name, f"not {name}"], is_positive.astype(np.int64), sides)


def find_failures(
    predictions: Predictions, classes: Sequence[str], negative_label: int | None
) -> tuple[list[str], list[WrongUnit]]:
    """Return the names of the answers, and the wrong subjects with the highest probability.

    A subject is wrong if the answer with the highest mean probability over its rows is another one
    than its own. They are of the first repeat: a mean over repeats would be of an ensemble that
    nobody trained. None where a probability is NaN.
    """
    row_predictions = split_repeats(predictions)[0]
    rows = list_answers(row_predictions, classes, negative_label)
    if np.isnan(rows.probabilities).any():
        return rows.names, []
    unit_predictions = average_by_subject(row_predictions)
    units = list_answers(unit_predictions, classes, negative_label)

    answers = units.probabilities.argmax(1)
    confidence = units.probabilities.max(1)
    wrong_units = np.flatnonzero(answers != units.labels)
    order = np.argsort(-confidence[wrong_units], kind="stable")
    failures = []
    for unit in wrong_units[order][:MAX_FAILURES]:
        mask = mark_rows_of_unit(row_predictions, unit_predictions, int(unit))
        answer = int(answers[unit])
        indices = np.flatnonzero(mask)
        row_probabilities = rows.probabilities[indices, answer]
        nearest = int(np.abs(row_probabilities - confidence[unit]).argmin())
        subjects = unit_predictions.subjects
        failure = WrongUnit(
            subject=None if subjects is None else int(subjects[unit]),
            label=int(unit_predictions.labels[unit]),
            answer=answer,
            probability=float(confidence[unit]),
            row=int(row_predictions.rows[indices[nearest]]),
            row_probability=float(row_probabilities[nearest]),
        )
        failures.append(failure)
    return rows.names, failures


def mark_rows_of_unit(
    row_predictions: Predictions, unit_predictions: Predictions, unit: int
) -> NDArray[np.bool_]:
    """Return which rows (N,) a unit is the mean of."""
    if row_predictions.subjects is None or unit_predictions.subjects is None:
        row_mask: NDArray[np.bool_] = np.arange(len(row_predictions.rows)) == unit
        return row_mask
    is_subject = row_predictions.subjects == unit_predictions.subjects[unit]
    mask: NDArray[np.bool_] = is_subject & (row_predictions.labels == unit_predictions.labels[unit])
    return mask
