from itertools import product

import numpy as np
import pytest

from mri_stages.evaluation.comparison import compare_pairs, holm, in_words
from mri_stages.storage.records import Pair


def right(*rows: int) -> np.ndarray:
    return np.isin(np.arange(40), rows)


def test_compare_pairs_by_row_is_the_sign_test_on_rows_that_one_gets_right() -> None:
    correct = {"a": right(0, 1, 2, 3, 4, 5, 20), "b": right(6, 20)}
    for subjects in (None, np.zeros(40, np.int64)):  # one subject cannot be swapped
        (pair,) = compare_pairs(correct, subjects)
        assert pair[:4] == ("a", "b", 6, 1)
        assert pair.p == pytest.approx(2 * (1 + 7) / 2**7)


def test_compare_pairs_by_subject_equals_all_swaps_of_subjects() -> None:
    rng = np.random.default_rng(4)
    subjects = rng.integers(0, 7, 40)
    a, b = rng.random(40) < 0.8, rng.random(40) < 0.4
    (pair,) = compare_pairs({"a": a, "b": b}, subjects)
    differences = np.bincount(subjects, a.astype(float) - b)
    sums = [abs(differences @ signs) for signs in product((-1, 1), repeat=7)]
    assert pair.p == pytest.approx(np.mean(sums >= abs(differences.sum()) - 1e-9))


@pytest.mark.parametrize("subjects", [None, np.arange(40)])
def test_compare_pairs_corrects_for_the_number_of_pairs(subjects: np.ndarray | None) -> None:
    correct = {"a": right(*range(8)), "b": right(*range(8)), "c": right()}
    pairs = compare_pairs(correct, subjects)
    assert [(pair.a, pair.b) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.p for pair in pairs] == pytest.approx([1.0, 3 * 2 / 2**8, 3 * 2 / 2**8], rel=0.2)


def test_holm_equals_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert (holm([0.9, 0.8]), holm([])) == ([1.0, 1.0], [])


@pytest.mark.parametrize(
    ("pair", "parts"),
    [
        (("a", "b", 20, 7, 0.02), ["a is right on 13 rows more than b", "0.02)"]),
        (("a", "b", 7, 8, 0.3), ["b is right on 1 row more than a", "0.3)"]),
        (("a", "b", 3, 3, 1.0), ["equally many"]),
        (("a", "b", 9, 2, 0.05), ["may be chance"]),
        (("a", "b", 9, 2, 0.0499), ["more than chance"]),
    ],
)
def test_in_words_names_the_better_model_and_chance(
    pair: tuple[str, str, int, int, float], parts: list[str]
) -> None:
    assert all(part in in_words(Pair(*pair), "row") for part in parts)
