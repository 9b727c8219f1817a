import numpy as np
import pytest

from src.scores import score

Y = np.array([0, 0, 0, 0, 1, 1])
PREDICTED = np.array([0, 0, 0, 1, 1, 0])


def test_scores_against_hand_computed_values() -> None:
    metrics = score(PREDICTED, Y, None, scored=[0, 1])
    assert metrics["accuracy"] == pytest.approx(4 / 6)
    assert metrics["balanced"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    # F1 of class 0: 2*3/(2*3+1+1); of class 1: 2*1/(2*1+1+1).
    assert metrics["macro_f1"] == pytest.approx((6 / 8 + 2 / 4) / 2)


def test_a_class_that_is_not_scored_counts_for_accuracy_alone() -> None:
    metrics = score(PREDICTED, Y, None, scored=[1])
    assert metrics["accuracy"] == pytest.approx(4 / 6)
    assert metrics["balanced"] == pytest.approx(1 / 2)
    assert metrics["macro_f1"] == pytest.approx(2 / 4)
    assert set(score(PREDICTED, Y, None, scored=[])) == {"accuracy", "low", "high"}
