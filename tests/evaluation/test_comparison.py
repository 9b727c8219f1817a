from itertools import product

import numpy as np
import pytest

from mri_stages.evaluation.comparison import compare_pairs
from mri_stages.evaluation.holm import PValue, correct_by_holm

N_ROWS = 40


def mark(*rows: int) -> np.ndarray:
    """Return a mask of the rows that a model gets right."""
    return np.isin(np.arange(N_ROWS), rows)


@pytest.mark.parametrize("subjects", [None, np.zeros(N_ROWS, np.int64)])
def test_pairs_without_two_subjects_are_tested_by_row(subjects: np.ndarray | None) -> None:
    correct = {"a": mark(0, 1, 2, 3, 4, 5, 20), "b": mark(6, 20)}
    (pair,) = compare_pairs(correct, subjects)
    assert pair[:4] == ("a", "b", 6, 1)
    assert pair.p == pytest.approx(2 * (1 + 7) / 2**7)  # the sign test


def test_pairs_by_subject_equal_all_swaps_of_subjects() -> None:
    rng = np.random.default_rng(4)
    subjects = rng.integers(0, 7, N_ROWS)
    a = rng.random(N_ROWS) < 0.8
    b = rng.random(N_ROWS) < 0.4
    (pair,) = compare_pairs({"a": a, "b": b}, subjects)
    differences = np.bincount(subjects, a.astype(float) - b)
    sums = [abs(differences @ signs) for signs in product((-1, 1), repeat=7)]
    assert pair.p == pytest.approx(np.mean(sums >= abs(differences.sum()) - 1e-9))


def test_pairs_by_many_subjects_are_seeded() -> None:
    rng = np.random.default_rng(4)
    correct = {"a": rng.random(N_ROWS) < 0.8, "b": rng.random(N_ROWS) < 0.4}
    subjects = np.arange(N_ROWS)
    assert compare_pairs(correct, subjects) == compare_pairs(correct, subjects)


@pytest.mark.parametrize("subjects", [None, np.arange(N_ROWS)])
def test_pairs_are_corrected_for_their_number(subjects: np.ndarray | None) -> None:
    correct = {"a": mark(*range(8)), "b": mark(*range(8)), "c": mark()}
    pairs = compare_pairs(correct, subjects)
    assert [(pair.a, pair.b) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.p for pair in pairs] == pytest.approx([1.0, 3 * 2 / 2**8, 3 * 2 / 2**8], rel=0.2)


def test_pairs_at_the_lowest_p_are_bounds_where_swaps_are_sampled() -> None:
    """Twenty subjects have a million swaps, of which few are tried; seven have 128."""
    correct = {"a": mark(*range(20)), "b": mark()}
    (sampled,) = compare_pairs(correct, np.arange(N_ROWS) % 20)
    (exact,) = compare_pairs(correct, np.arange(N_ROWS) % 7)
    (by_row,) = compare_pairs(correct, None)
    assert [pair.p_is_floor for pair in (sampled, exact, by_row)] == [True, False, False]


def test_pairs_of_one_model_are_none() -> None:
    assert compare_pairs({"a": mark(1)}, None) == []


def test_holm_equals_its_definition() -> None:
    corrected = correct_by_holm([PValue(p) for p in (0.01, 0.04, 0.03, 0.5)])
    assert [p.value for p in corrected] == pytest.approx([0.04, 0.09, 0.09, 0.5])


def test_holm_is_at_most_one() -> None:
    assert correct_by_holm([PValue(0.9), PValue(0.8)]) == [PValue(1.0), PValue(1.0)]


def test_holm_of_no_pair_is_empty() -> None:
    assert correct_by_holm([]) == []
