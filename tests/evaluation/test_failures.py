"""The most confident wrong answers."""

import numpy as np
import pytest

from mri_stages.evaluation.failures import MAX_FAILURES, find_failures
from mri_stages.storage.predictions import Predictions, join_repeats

CLASSES = ["Ill", "Sane", "Unsure"]


def make_predictions(
    subjects: list[int] | None, labels: list[int], p: list[list[float]]
) -> Predictions:
    rows = np.arange(10, 10 + len(labels))
    ids = None if subjects is None else np.array(subjects)
    return Predictions(rows, ids, np.array(labels), np.array(p, np.float32))


# Subject 4 has three rows and is wrong; 5 is wrong with less confidence; 6 is right.
ROWS = make_predictions(
    [4, 5, 4, 6, 4],
    [0, 0, 0, 1, 0],
    [[0.2, 0.8, 0], [0.4, 0.6, 0], [0.3, 0.7, 0], [0, 1, 0], [0.1, 0.9, 0]],
)


def test_failures_are_the_most_confident_first() -> None:
    names, units = find_failures(ROWS, CLASSES, None)
    assert [unit.subject for unit in units] == [4, 5]
    assert [names[unit.answer] for unit in units] == ["Sane", "Sane"]
    assert [unit.probability for unit in units] == pytest.approx([0.8, 0.6])


def test_failure_shows_the_row_nearest_to_the_mean() -> None:
    unit = find_failures(ROWS, CLASSES, None)[1][0]
    assert unit.row == 10
    assert unit.row_probability == pytest.approx(0.8)


def test_failure_against_a_negative_class_is_of_two_sides() -> None:
    """A wrong class on the right side is no failure."""
    p = [[0.1, 0.2, 0.7], [0.1, 0.6, 0.3], [0.45, 0.15, 0.4]]
    predictions = make_predictions([1, 2, 3], [0, 0, 1], p)
    names, units = find_failures(predictions, CLASSES, 1)
    assert names == ["Sane", "not Sane"]
    assert [(unit.subject, names[unit.answer]) for unit in units] == [(3, "not Sane"), (2, "Sane")]
    assert [unit.probability for unit in units] == pytest.approx([0.85, 0.6])


def test_failures_without_ids_are_rows() -> None:
    predictions = make_predictions(None, [0, 0, 1], [[0.9, 0.1, 0], [0.2, 0.8, 0], [0, 1, 0]])
    (unit,) = find_failures(predictions, CLASSES, None)[1]
    assert (unit.subject, unit.row) == (None, 11)


def test_failures_are_limited() -> None:
    n = MAX_FAILURES + 3
    predictions = make_predictions(list(range(n)), [0] * n, [[0.25, 0.75, 0]] * n)
    units = find_failures(predictions, CLASSES, None)[1]
    assert [unit.subject for unit in units] == list(range(MAX_FAILURES))


def test_failures_of_repeats_are_those_of_the_first() -> None:
    right = ROWS._replace(probabilities=np.eye(3, dtype=np.float32)[ROWS.labels])
    first = find_failures(ROWS, CLASSES, None)
    assert find_failures(join_repeats([ROWS, right]), CLASSES, None) == first


def test_failures_of_a_diverged_model_are_none() -> None:
    predictions = ROWS._replace(probabilities=np.full((5, 3), np.nan, np.float32))
    assert find_failures(predictions, CLASSES, None)[1] == []
