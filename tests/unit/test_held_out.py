import numpy as np
import pytest

from src.cli import InputError
from src.held_out import held_out_rows

SUBJECTS = np.repeat(np.arange(40), 5)
Y = SUBJECTS % 3


def test_a_fifth_is_held_out_and_no_subject_is_on_both_sides() -> None:
    held_out = held_out_rows(Y, SUBJECTS)
    assert held_out.mean() == pytest.approx(0.2, abs=0.05)
    assert not set(SUBJECTS[held_out]) & set(SUBJECTS[~held_out])
    assert set(Y[held_out]) == {0, 1, 2}
    np.testing.assert_array_equal(held_out, held_out_rows(Y, SUBJECTS))


def test_without_ids_rows_are_held_out_by_class() -> None:
    held_out = held_out_rows(Y, None)
    for label in range(3):
        assert held_out[label == Y].mean() == pytest.approx(0.2, abs=0.02)


def test_a_class_of_one_subject_is_held_out_or_not_and_too_few_rows_are_one_line() -> None:
    held_out = held_out_rows(np.where(SUBJECTS == 0, 3, Y), SUBJECTS)
    assert held_out[:5].all() or not held_out[:5].any()
    with pytest.raises(InputError, match="cannot hold out a 5th"):
        held_out_rows(Y[:20], SUBJECTS[:20])  # four subjects
