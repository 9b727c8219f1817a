"""Differences of AUC, against scikit-learn, closed forms and counts by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mri_stages.evaluation.auc_differences import (
    compare_aucs,
    compute_bootstrap_p,
    resample_repeats,
)
from mri_stages.evaluation.holm import PValue, correct_by_holm
from mri_stages.storage.predictions import Predictions

N_SUBJECTS = 60
LABELS = np.arange(N_SUBJECTS) % 2


def predict(quality: float, seed: int, labels: np.ndarray = LABELS) -> Predictions:
    """Return predictions of two classes that are better by `quality` deviations than chance."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=len(labels)) + quality * (labels - 0.5)
    positive = 1 / (1 + np.exp(-logits))
    subjects = np.arange(len(labels))
    probabilities = np.stack([1 - positive, positive], 1).astype(np.float32)
    return Predictions(subjects, subjects, labels, probabilities)


def select(predictions: Predictions, indices: np.ndarray) -> Predictions:
    columns = [None if column is None else column[indices] for column in predictions]
    return Predictions._make(columns)


def compute_reference(predictions: Predictions) -> float:
    return float(roc_auc_score(predictions.labels, predictions.probabilities[:, 1]))


def test_difference_equals_scikit_learn() -> None:
    network = predict(2, 0)
    baseline = predict(1, 1)
    (row,) = compare_aucs({"net": [network]}, {"base": [baseline]}, 0)
    assert (row.first, row.second, row.units) == ("net", "base", N_SUBJECTS)
    expected = compute_reference(network) - compute_reference(baseline)
    assert row.difference == pytest.approx(expected)


def test_difference_is_the_mean_over_repeats() -> None:
    networks = [predict(2, seed) for seed in range(3)]
    baselines = [predict(1, seed) for seed in range(3, 6)]
    (row,) = compare_aucs({"net": networks}, {"base": baselines}, 0)
    expected = np.mean([compute_reference(network) for network in networks])
    expected -= np.mean([compute_reference(baseline) for baseline in baselines])
    assert row.difference == pytest.approx(expected)


def test_difference_is_paired_by_subject() -> None:
    # The second model is the first one with a little noise: their AUCs rise and fall together.
    network = predict(1, 0)
    noise = np.random.default_rng(5).normal(0, 0.02, (N_SUBJECTS, 1))
    twin = network._replace(
        probabilities=(network.probabilities + noise * [-1, 1]).astype(np.float32)
    )
    other = predict(1, 9)
    twin_row, other_row = compare_aucs({"net": [network]}, {"twin": [twin], "other": [other]}, 0)
    assert measure_width(twin_row) < measure_width(other_row) / 4


def measure_width(row) -> float:  # type: ignore[no-untyped-def]
    return float(row.high - row.low)


def test_interval_of_a_difference_is_near_that_of_delong() -> None:
    # DeLong and others, Biometrics 44 (1988) 837: variances of the placements of each class.
    labels = np.arange(400) % 2
    network = predict(1.5, 0, labels)
    baseline = predict(1, 1, labels)
    (row,) = compare_aucs({"net": [network]}, {"base": [baseline]}, 0)
    deviation = compute_delong_deviation(network, baseline)
    assert measure_width(row) == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def compute_delong_deviation(first: Predictions, second: Predictions) -> float:
    placements = [list_placements(first), list_placements(second)]
    variance = 0.0
    for side in (0, 1):
        difference = placements[0][side] - placements[1][side]
        variance += difference.var(ddof=1) / len(difference)
    return float(np.sqrt(variance))


def list_placements(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    scores = predictions.probabilities[:, 1]
    positive = scores[predictions.labels == 1]
    negative = scores[predictions.labels == 0]
    beaten = positive[:, None] > negative
    return beaten.mean(1), beaten.mean(0)


def test_p_of_a_clear_difference_is_small() -> None:
    (row,) = compare_aucs({"net": [predict(6, 0)]}, {"base": [predict(0, 1)]}, 0)
    assert row.p < 0.01
    assert row.p_is_floor


def test_p_agrees_with_the_interval() -> None:
    for seed in range(8):
        (row,) = compare_aucs({"net": [predict(1.6, seed)]}, {"base": [predict(0.8, 90 + seed)]}, 0)
        assert row.low is not None
        assert row.high is not None
        assert (row.p < 0.05) == (row.low > 0 or row.high < 0)


def test_bootstrap_p_is_twice_the_smaller_tail() -> None:
    assert compute_bootstrap_p(np.array([-1.0, 1, 1, 1, 1, 1, 1, 1, 1])) == PValue(2 * 2 / 10)


def test_bootstrap_p_of_no_resample_beyond_0_is_a_bound() -> None:
    assert compute_bootstrap_p(np.ones(9)) == PValue(2 / 10, is_floor=True)


def test_bootstrap_p_is_at_most_one() -> None:
    assert compute_bootstrap_p(np.array([-1.0, 1])) == PValue(1.0)


def test_p_is_corrected_over_the_networks() -> None:
    networks = {"a": [predict(1.5, 0)], "b": [predict(1.2, 1)]}
    baseline = {"base": [predict(0.5, 2)]}
    single_ps = [compare_aucs({name: networks[name]}, baseline, 0)[0].p for name in networks]
    rows = compare_aucs(networks, baseline, 0)
    expected = [p.value for p in correct_by_holm([PValue(p) for p in single_ps])]
    assert [row.p for row in rows[:2]] == pytest.approx(expected)


def test_networks_are_compared_with_each_other_last() -> None:
    models = {name: [predict(1, seed)] for seed, name in enumerate("abc")}
    rows = compare_aucs({name: models[name] for name in "ab"}, {"c": models["c"]}, 0)
    assert [(row.first, row.second) for row in rows] == [("a", "c"), ("b", "c"), ("a", "b")]


def test_equal_predictions_have_no_interval() -> None:
    network = predict(1, 0)
    (row,) = compare_aucs({"net": [network]}, {"base": [network]}, 0)
    assert (row.difference, row.low, row.high, row.p) == (0, None, None, 1)


def test_baseline_of_a_sample_is_compared_on_its_subjects() -> None:
    network = predict(2, 0)
    sample = select(predict(1, 1), np.arange(20, 50)[::-1])  # in another order
    (row,) = compare_aucs({"net": [network]}, {"base": [sample]}, 0)
    expected = compute_reference(select(network, np.arange(20, 50))) - compute_reference(sample)
    assert row.units == 30
    assert row.difference == pytest.approx(expected)


def test_pair_without_a_shared_unit_is_left_out() -> None:
    network = select(predict(1, 0), np.arange(10))
    baseline = select(predict(1, 1), np.arange(20, 40))
    assert compare_aucs({"net": [network]}, {"base": [baseline]}, 0) == []


def test_fewer_repeats_count_where_a_baseline_has_fewer() -> None:
    networks = [predict(2, seed) for seed in range(3)]
    baseline = predict(1, 7)
    (row,) = compare_aucs({"net": networks}, {"base": [baseline]}, 0)
    expected = compute_reference(networks[0]) - compute_reference(baseline)
    assert row.difference == pytest.approx(expected)


def test_resampled_repeats_have_the_variance_of_their_mean() -> None:
    # R - 1 draws of R values have the unbiased variance of a mean of R.
    values = np.random.default_rng(0).normal(size=5)
    resampled = resample_repeats(np.repeat(values[:, None], 40_000, axis=1))
    assert resampled.var() == pytest.approx(values.var(ddof=1) / 5, rel=0.03)


def test_one_repeat_is_not_resampled() -> None:
    values = np.array([[0.5, 0.25]])
    assert resample_repeats(values).tolist() == [0.5, 0.25]
