import math

import numpy as np
import pytest
from scipy.stats import binom

from mri_stages.evaluation.confidence import accuracy_interval


def test_accuracy_interval_without_two_subjects_is_wilsons() -> None:
    correct = np.arange(1279) < 857  # the notebook's simple_nn2
    z, n, p = 1.959963984540054, 1279, 857 / 1279
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    for subjects in (None, np.full(1279, 7)):
        found = accuracy_interval(correct, subjects)
        assert found == pytest.approx((centre - half, centre + half))


def test_accuracy_interval_with_subjects_has_the_width_of_their_number() -> None:
    # 40 subjects of 9 rows, each all right or all wrong: 40 independent draws instead of 360. The
    # bootstrap's quantiles are those of a binomial.
    subjects = np.repeat(np.arange(40), 9)
    correct = subjects < 24
    found = accuracy_interval(correct, subjects)
    assert found == pytest.approx(binom.ppf([0.025, 0.975], 40, 0.6) / 40, abs=0.013)
    assert accuracy_interval(correct, subjects) == found  # seeded


def test_accuracy_interval_weighs_subjects_by_their_rows() -> None:
    # One subject of 30 rows is wrong, nine subjects of one row are right. A resample that takes the
    # large one k times has accuracy (10 - k) / (10 + 29 k); k is binomial (10, 1/10).
    subjects, k = np.array([0] * 30 + [*range(1, 10)]), binom.ppf(0.975, 10, 0.1)
    expected = pytest.approx(((10 - k) / (10 + 29 * k), 1.0))
    assert accuracy_interval(subjects > 0, subjects) == expected


def test_accuracy_interval_of_rows_all_right_or_all_wrong_is_wilsons_of_subjects() -> None:
    subjects = np.arange(80) // 10
    low, high = accuracy_interval(np.ones(80, bool), subjects)
    assert (low, high) == accuracy_interval(np.ones(8, bool), None)
    assert accuracy_interval(np.zeros(80, bool), subjects) == pytest.approx((1 - high, 1 - low))
