import numpy as np
import pytest

from src.pairs import Pair, compare_pairs, holm, verdict


def right(*rows: int) -> np.ndarray:
    correct = np.zeros(40, bool)
    correct[list(rows)] = True
    return correct


def test_mcnemar_is_the_sign_test_on_rows_that_one_alone_gets_right() -> None:
    (pair,) = compare_pairs({"a": right(0, 1, 2, 3, 4, 5, 20), "b": right(6, 20)}, None)
    assert (pair.only_a, pair.only_b) == (6, 1)
    assert pair.mcnemar == pytest.approx(2 * (1 + 7) / 2**7)
    assert pair.by_subject is None


def test_rows_of_one_subject_count_as_one_piece_of_evidence() -> None:
    correct = {"a": right(*range(10)), "b": right(39)}
    subjects = np.arange(40) // 10  # a's ten rows are all of subject 0, b's of subject 3
    (pair,) = compare_pairs(correct, subjects)
    assert pair.mcnemar < 0.02
    # Of the 4 ways to swap two subjects, +-9 and +-11: all are at least as far from 0.
    assert pair.by_subject == 1.0
    (alone,) = compare_pairs(correct, np.arange(40))  # every row a subject: the sign test again
    assert alone.by_subject == pytest.approx(pair.mcnemar, abs=0.005)


def test_one_subject_cannot_be_swapped() -> None:
    correct = {"a": right(0, 1), "b": right(2)}
    (pair,) = compare_pairs(correct, np.zeros(40, np.int64))
    assert pair.by_subject is None


def test_models_that_agree_have_p_1_and_p_is_corrected_over_the_pairs() -> None:
    correct = {"a": right(*range(8)), "b": right(*range(8)), "c": right()}
    pairs = compare_pairs(correct, None)
    assert [(pair.a, pair.b) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    single = 2 / 2**8
    assert [pair.mcnemar for pair in pairs] == pytest.approx([1.0, 3 * single, 3 * single])


def test_holm_against_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        (Pair("a", "b", 20, 7, 0.02, None), "a is right on 13 rows more than b; that is more"),
        (
            Pair("a", "b", 7, 8, 0.02, 0.3),
            "b is right on 1 row more than a; that is luck, for all one can tell "
            "(p = 0.3 by subject)",
        ),
        (Pair("a", "b", 3, 3, 1.0, None), "a and b are right on equally many rows"),
    ],
)
def test_the_verdict_is_by_subject_where_that_is_known(pair: Pair, sentence: str) -> None:
    assert verdict(pair).startswith(sentence)
