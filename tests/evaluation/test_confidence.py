import math

import numpy as np
import pytest
from scipy.stats import binom

from mri_stages.evaluation import confidence
from mri_stages.evaluation.confidence import (
    bootstrap_interval,
    compute_accuracy_interval,
    has_several_subjects,
)


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [(None, False), (np.full(4, 7), False), (np.array([7, 7, 7, 8]), True)],
)
def test_has_several_subjects(subjects: np.ndarray | None, expected: bool) -> None:
    assert has_several_subjects(subjects) is expected


@pytest.mark.parametrize("subjects", [None, np.full(1279, 7)])
def test_accuracy_interval_without_two_subjects_is_wilsons(subjects: np.ndarray | None) -> None:
    correct = np.arange(1279) < 857  # the notebook's simple_nn2
    z, n, p = 1.959963984540054, 1279, 857 / 1279
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    interval = compute_accuracy_interval(correct, subjects)
    assert interval == pytest.approx((centre - half, centre + half))


def test_accuracy_interval_with_subjects_has_the_width_of_their_number() -> None:
    # 40 subjects of 9 rows, each all right or all wrong: 40 independent draws instead of 360. The
    # bootstrap's quantiles are those of a binomial.
    subjects = np.repeat(np.arange(40), 9)
    interval = compute_accuracy_interval(subjects < 24, subjects)
    assert interval == pytest.approx(binom.ppf([0.025, 0.975], 40, 0.6) / 40, abs=0.013)


def test_accuracy_interval_is_seeded() -> None:
    subjects = np.repeat(np.arange(40), 9)
    first, second = (compute_accuracy_interval(subjects < 24, subjects) for _ in range(2))
    assert first == second


def test_accuracy_interval_weighs_subjects_by_their_rows() -> None:
    # One subject of 30 rows is wrong, nine subjects of one row are right. A resample that takes the
    # large one k times has accuracy (10 - k) / (10 + 29 k); k is binomial (10, 1/10).
    subjects = np.array([0] * 30 + [*range(1, 10)])
    k = binom.ppf(0.975, 10, 0.1)
    expected = pytest.approx(((10 - k) / (10 + 29 * k), 1.0))
    assert compute_accuracy_interval(subjects > 0, subjects) == expected


@pytest.mark.parametrize("is_correct", [False, True])
def test_accuracy_interval_of_equal_rows_is_wilsons_of_subjects(is_correct: bool) -> None:
    subjects = np.arange(80) // 10
    interval = compute_accuracy_interval(np.full(80, is_correct), subjects)
    assert interval == compute_accuracy_interval(np.full(8, is_correct), None)


def test_bootstrap_averages_figures_and_leaves_out_nan() -> None:
    def measure(weights: np.ndarray) -> list[np.ndarray]:
        n = len(weights)
        return [np.full(n, 0.2), np.full(n, 0.4), np.full(n, np.nan)]

    assert bootstrap_interval(measure, 5, None) == pytest.approx((0.3, 0.3))


def test_bootstrap_draws_as_many_units_as_there_are() -> None:
    sums = []

    def measure(weights: np.ndarray) -> list[np.ndarray]:
        sums.extend(weights.sum(1).tolist())
        return [weights[:, 0]]

    bootstrap_interval(measure, 7, None)
    assert set(sums) == {7}


@pytest.mark.parametrize(("n_rows", "expected"), [(4, 1999), (64, 1024), (2**12, 200)])
def test_bootstrap_draws_fewer_resamples_of_many_rows(
    monkeypatch: pytest.MonkeyPatch, n_rows: int, expected: int
) -> None:
    monkeypatch.setattr(confidence, "MAX_BOOTSTRAP_WEIGHTS", 2**16)
    monkeypatch.setattr(confidence, "MAX_BLOCK_WEIGHTS", 2**13)
    sizes = []

    def measure(weights: np.ndarray) -> list[np.ndarray]:
        assert weights.size <= 2**13
        sizes.append(len(weights))
        return [np.ones(len(weights))]

    bootstrap_interval(measure, n_rows, np.arange(n_rows) % 2)
    assert sum(sizes) == expected
