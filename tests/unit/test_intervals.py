import math

import numpy as np
import pytest

from src.intervals import interval, interval_name


def test_without_subjects_it_is_wilsons_score_interval() -> None:
    correct = np.arange(1279) < 857  # the notebook's simple_nn2
    low, high = interval(correct, None)
    z, n, p = 1.959963984540054, 1279, 857 / 1279
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert (low, high) == pytest.approx((centre - half, centre + half))
    assert interval_name(None) == "Wilson"


def test_with_subjects_it_is_as_wide_as_the_number_of_subjects_allows() -> None:
    # 100 subjects of 9 rows, each all right or all wrong: 100 independent draws, not 900.
    subjects = np.repeat(np.arange(100), 9)
    correct = subjects < 60
    low, high = interval(correct, subjects)
    half = 1.96 * math.sqrt(0.6 * 0.4 / 100)
    assert (low, high) == pytest.approx((0.6 - half, 0.6 + half), abs=0.012)
    assert interval_name(subjects) == "bootstrap over subjects"
    assert interval(correct, subjects) == (low, high)


def test_one_subject_cannot_be_resampled() -> None:
    subjects = np.zeros(20, np.int64)
    correct = np.arange(20) < 10
    assert interval(correct, subjects) == interval(correct, None)
    assert interval_name(subjects) == "Wilson"


def test_rows_that_are_all_right_leave_the_doubt_that_their_subjects_leave() -> None:
    subjects = np.arange(80) // 10
    low, high = interval(np.ones(80, bool), subjects)
    assert (low, high) == interval(np.ones(8, bool), None)
    assert low < 0.7
    assert interval(np.zeros(80, bool), subjects) == pytest.approx((1 - high, 1 - low))
