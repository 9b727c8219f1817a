import math

import numpy as np
import pytest
from scipy.stats import beta, binom

from mri_stages.evaluation import confidence
from mri_stages.evaluation.confidence import (
    compute_accuracy_interval,
    compute_complete_interval,
    compute_exact_interval,
    compute_share_interval,
    count_subjects,
    draw_weights,
    has_several_subjects,
    resample_figures,
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
def test_accuracy_interval_of_equal_rows_is_that_of_subjects(is_correct: bool) -> None:
    subjects = np.arange(80) // 10
    interval = compute_accuracy_interval(np.full(80, is_correct), subjects)
    assert interval == compute_exact_interval(8 * is_correct, 8)


@pytest.mark.parametrize(("n_right", "n_draws"), [(3, 10), (1, 200), (59, 60)])
def test_exact_interval_is_that_of_the_beta_distribution(n_right: int, n_draws: int) -> None:
    low = beta.ppf(0.025, n_right, n_draws - n_right + 1)
    high = beta.ppf(0.975, n_right + 1, n_draws - n_right)
    assert compute_exact_interval(n_right, n_draws) == pytest.approx((low, high))


def test_exact_interval_of_all_has_a_closed_form() -> None:
    assert compute_exact_interval(30, 30) == pytest.approx((0.025 ** (1 / 30), 1))
    assert compute_exact_interval(0, 30) == pytest.approx((0, 1 - 0.025 ** (1 / 30)))


def test_resampled_figures_leave_out_a_repeat_that_is_missing() -> None:
    def measure(weights: np.ndarray) -> np.ndarray:
        n = len(weights)
        return np.stack([[np.full(n, 0.2), np.full(n, np.nan), np.full(n, 0.2)]])

    (values,) = resample_figures(measure, 5, None, n_repeats=3)
    assert values[~np.isnan(values)] == pytest.approx(0.2)
    # Two of three repeats are drawn; both are the missing one with a probability of 1/9.
    assert np.isnan(values).mean() == pytest.approx(1 / 9, abs=0.03)


def test_resampled_figures_have_the_variance_of_a_mean_of_repeats() -> None:
    figures_of_repeats = np.array([0.1, 0.4, 0.3, 0.9])
    (values,) = resample_figures(
        lambda weights: np.broadcast_to(figures_of_repeats[:, None], (1, 4, len(weights))),
        5,
        None,
        n_repeats=4,
    )
    assert values.mean() == pytest.approx(figures_of_repeats.mean(), abs=0.02)
    assert values.var() == pytest.approx(figures_of_repeats.var(ddof=1) / 4, rel=0.1)


def test_resampled_figures_of_one_repeat_are_those_of_the_rows() -> None:
    figures = np.array([0.5, 0.1, 0.7])
    (values,) = resample_figures(lambda weights: (weights @ figures)[None, None], 3, None)
    weights = np.concatenate([*draw_weights(3, None)])
    np.testing.assert_array_equal(values, weights @ figures)


def test_drawn_weights_draw_as_many_units_as_there_are() -> None:
    weights = np.concatenate([*draw_weights(7, None)])
    assert set(weights.sum(1)) == {7}


def test_drawn_weights_are_equal_within_a_subject() -> None:
    weights = np.concatenate([*draw_weights(4, np.array([5, 9, 5, 9]))])
    np.testing.assert_array_equal(weights[:, :2], weights[:, 2:])


@pytest.mark.parametrize(("n_rows", "expected"), [(4, 1999), (64, 1024), (2**12, 200)])
def test_drawn_weights_are_fewer_of_many_rows(
    monkeypatch: pytest.MonkeyPatch, n_rows: int, expected: int
) -> None:
    monkeypatch.setattr(confidence, "MAX_BOOTSTRAP_WEIGHTS", 2**16)
    monkeypatch.setattr(confidence, "MAX_BLOCK_WEIGHTS", 2**13)
    blocks = [*draw_weights(n_rows, np.arange(n_rows) % 2)]
    assert max(block.size for block in blocks) <= 2**13
    assert sum(len(block) for block in blocks) == expected


@pytest.mark.parametrize(
    "values",
    [
        np.full(100, 0.3),
        np.append(np.full(10, np.nan), np.arange(90)),
        np.append(np.full(10, np.inf), np.arange(90)),
    ],
)
def test_complete_interval_that_says_nothing_is_none(values: np.ndarray) -> None:
    assert compute_complete_interval(values) is None


def test_complete_interval_leaves_out_rare_missing_figures() -> None:
    values = np.append([np.nan, np.nan], np.arange(98.0))
    expected = np.percentile(np.arange(98), [2.5, 97.5])
    assert compute_complete_interval(values) == pytest.approx(expected)


@pytest.mark.parametrize("share", [0, 1])
def test_share_interval_of_all_or_none_is_exact(share: int) -> None:
    interval = compute_share_interval(np.full(9, share), share, 12)
    assert interval == compute_exact_interval(12 * share, 12)


@pytest.mark.parametrize(("subjects", "expected"), [(None, 3), (np.array([1, 1, 2, 3]), 2)])
def test_count_subjects_of_a_mask(subjects: np.ndarray | None, expected: int) -> None:
    assert count_subjects(np.array([True, True, True, False]), subjects) == expected
