import math

import numpy as np
import pytest
from scipy.stats import norm

from mri_stages.evaluation.power import (
    Contrast,
    compute_auc_correlation,
    compute_auc_error,
    compute_pair_covariance,
    find_smallest_difference,
    forecast,
)
from mri_stages.storage.records import Power

# Of 12 subjects: 7 of class a, 3 of b, 2 of c, none of d.
LABELS = np.array([0] * 7 + [1] * 3 + [2] * 2)
FOLDS = np.array([0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 3, 3])
CLASSES = ["a", "b", "c", "d"]


def forecast_classes(negative_label: int | None = None, n_classes: int = 4) -> Power:
    return forecast(LABELS, [FOLDS], CLASSES[:n_classes], negative_label, "subject")


def test_error_is_that_of_the_example_of_1982() -> None:
    # 51 abnormal and 58 normal images, an AUC of 0.893: the paper computes 0.0325.
    assert compute_auc_error(0.893, Contrast(51, 58)) == pytest.approx(0.0325, abs=5e-5)


def test_error_of_two_units_is_that_of_a_single_pair() -> None:
    assert compute_auc_error(0.8, Contrast(1, 1)) == pytest.approx(math.sqrt(0.8 * 0.2))


# Rows and columns of the table of 1983, which has two digits.
@pytest.mark.parametrize(
    ("score_correlation", "auc", "expected"),
    [
        (0.1, 0.7, 0.09), (0.1, 0.95, 0.06), (0.5, 0.7, 0.47), (0.5, 0.8, 0.45),
        (0.5, 0.9, 0.41), (0.8, 0.7, 0.77), (0.8, 0.9, 0.73), (0.9, 0.8, 0.87),
    ],
)  # fmt: skip
def test_correlation_is_that_of_the_table_of_1983(
    score_correlation: float, auc: float, expected: float
) -> None:
    assert compute_auc_correlation(auc, score_correlation) == pytest.approx(expected, abs=0.015)


def test_scores_that_do_not_correlate_have_aucs_that_do_not() -> None:
    assert compute_auc_correlation(0.8, 0) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 1.0])
def test_covariance_of_pairs_at_one_half_is_an_arcsine(correlation: float) -> None:
    expected = math.asin(correlation) / (2 * math.pi)  # Sheppard 1899
    assert compute_pair_covariance(0.5, correlation) == pytest.approx(expected)


def test_smallest_difference_solves_its_equation() -> None:
    contrast = Contrast(60, 80)
    difference = find_smallest_difference(0.7, [contrast], 0.5)
    assert difference is not None
    first, second = [compute_auc_error(auc, contrast) for auc in (0.7, 0.7 + difference)]
    r = compute_auc_correlation(0.7 + difference / 2, 0.5)
    error = math.sqrt(first**2 + second**2 - 2 * r * first * second)
    assert difference == pytest.approx((norm.ppf(0.975) + norm.ppf(0.8)) * error)


def test_smallest_difference_shrinks_with_correlation() -> None:
    differences = [find_smallest_difference(0.8, [Contrast(90, 90)], r) for r in (0, 0.5, 0.8)]
    assert None not in differences
    assert differences == sorted(differences, reverse=True)  # type: ignore[type-var]


def test_no_difference_is_seen_with_two_subjects() -> None:
    assert find_smallest_difference(0.8, [Contrast(1, 1)], 0.5) is None


def test_smallest_difference_is_seen_in_80_per_cent_of_data_sets() -> None:
    """Simulate normal scores of two models on the same 100 and 100 subjects."""
    difference = find_smallest_difference(0.7, [Contrast(100, 100)], 0.5)
    assert difference is not None
    rng = np.random.default_rng(0)
    shifts = [math.sqrt(2) * norm.ppf(auc) for auc in (0.7, 0.7 + difference)]
    differences = []
    for _ in range(2000):
        # What the scores share is half of their variance.
        scores = (rng.normal(size=(200, 1)) + rng.normal(size=(200, 2))) / math.sqrt(2)
        wins = scores[:100, None] + shifts > scores[100:]
        first, second = wins.mean((0, 1))
        differences.append(second - first)
    limit = norm.ppf(0.975) * np.std(differences)
    assert np.mean(np.array(differences) > limit) == pytest.approx(0.8, abs=0.03)


def test_forecast_counts_the_units_and_folds_of_each_class() -> None:
    counts = [(item.count, item.test_folds, item.scored) for item in forecast_classes().classes]
    assert counts == [(7, 4, True), (3, 3, True), (2, 1, False), (0, 0, False)]


def test_forecast_names_the_classes_that_cannot_be_scored() -> None:
    power = forecast_classes()
    assert power.unscored_classes == "c, d"
    assert [bool(item.note) for item in power.classes] == [False, True, True, True]


def test_forecast_takes_the_worst_repeat_of_a_class() -> None:
    other_folds = np.append(FOLDS[:-1], 0)  # there class c is in two folds
    power = forecast(LABELS, [other_folds, FOLDS], CLASSES, None, "subject")
    assert not power.classes[2].scored


def test_expected_interval_is_that_of_the_negative_class() -> None:
    expected = forecast_classes(negative_label=0).expected[2]
    assert expected.auc == 0.8
    half_width = norm.ppf(0.975) * compute_auc_error(0.8, Contrast(5, 7))
    assert expected.low == pytest.approx(0.8 - half_width)
    assert expected.high == pytest.approx(min(1, 0.8 + half_width))


def test_expected_interval_has_the_mean_error_of_the_scored_classes() -> None:
    expected = forecast_classes().expected[0]
    errors = [compute_auc_error(0.6, Contrast(n, 12 - n)) for n in (7, 3)]
    assert expected.low == pytest.approx(0.6 - norm.ppf(0.975) * np.mean(errors))


def test_expected_differences_are_for_correlations_of_0_50_and_80_per_cent() -> None:
    labels = np.arange(200) % 2
    power = forecast(labels, [np.arange(200) // 40], ["a", "b"], 0, "subject")
    for expected, auc in zip(power.expected, (0.6, 0.7, 0.8, 0.9), strict=True):
        differences = [
            find_smallest_difference(auc, [Contrast(100, 100)], r) for r in (0, 0.5, 0.8)
        ]
        shown = [expected.difference_0, expected.difference_50, expected.difference_80]
        assert (expected.auc, shown) == (auc, differences)


def test_sentence_has_the_smallest_differences() -> None:
    labels = np.arange(200) % 2
    power = forecast(labels, [np.arange(200) // 40], ["a", "b"], 0, "subject")
    expected = power.expected[2]
    differences = (expected.difference_0, expected.difference_50, expected.difference_80)
    assert ", ".join(f"{value:.2f}" for value in differences[:2]) in power.sentences[2]


def test_sentence_of_few_subjects_says_that_no_difference_is_seen() -> None:
    power = forecast(np.arange(4) % 2, [np.arange(4) // 2], ["a", "b"], 0, "subject")
    assert power.expected[3].difference_0 is None
    assert power.sentences[2].count("possible") == 1


def test_forecast_without_folds_expects_no_auc() -> None:
    power = forecast(LABELS, [], CLASSES[:3], None, "row")
    assert power.expected == []
    assert [entry.test_folds for entry in power.classes] == [0, 0, 0]
    assert len(power.sentences) > 1


def test_forecast_of_many_classes_stays_short() -> None:
    labels = np.arange(200) % 100
    names = [f"class {label}" for label in range(100)]
    power = forecast(labels, [np.arange(200) // 100], names, None, "subject")
    assert len(power.classes) == 100
    assert max(map(len, power.sentences)) < 400
    assert "class 7 2 and 92 more." in power.sentences[0]
    assert len(power.sentences) < 15
