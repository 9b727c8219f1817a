import numpy as np
import pytest
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from mri_stages.evaluation.probabilities import (
    Outcomes,
    build_outcomes,
    compute_brier_figures,
    compute_calibration_figures,
    compute_decision_figures,
    fit_intercepts,
    fit_slopes,
    list_calibration_points,
    list_decision_points,
    smooth_outcomes,
)
from mri_stages.storage.predictions import Predictions
from tests.helpers.predictions import draw_predictions

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(0, 2, 150)
POSITIVE = RNG.random(150) < 1 / (1 + np.exp(-(0.4 + 0.6 * LOGITS)))
P = 1 / (1 + np.exp(-LOGITS))
WEIGHTS = RNG.multinomial(150, np.full(150, 1 / 150), size=20).astype(float)
OUTCOMES = Outcomes(POSITIVE, P[None])

# By hand: called at 0.5 are the first two and the last; one of them is positive.
BY_HAND = Outcomes(
    np.array([True, False, True, False, False]), np.array([[0.9, 0.6, 0.4, 0.2, 0.5]])
)
ONCE = np.ones((1, 5))


def fit_by_scikit_learn(weights: np.ndarray) -> float:
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    model.fit(LOGITS[:, None], POSITIVE, sample_weight=weights)
    return float(model.coef_[0, 0])


def test_slopes_equal_those_of_scikit_learn() -> None:
    slopes = fit_slopes(LOGITS, POSITIVE, WEIGHTS)
    expected = [fit_by_scikit_learn(weights) for weights in WEIGHTS]
    assert slopes == pytest.approx(np.array(expected), rel=1e-4)


def test_slope_of_calibrated_logits_is_one() -> None:
    # Each logit has exactly the share of positives that it states.
    logits = np.repeat(logit([0.2, 0.5, 0.8]), 10)
    positive = np.concatenate([np.arange(10) < count for count in (2, 5, 8)])
    assert fit_slopes(2 * logits, positive, np.ones((1, 30))) == pytest.approx(0.5)
    assert fit_intercepts(logits + 0.3, positive, np.ones((1, 30))) == pytest.approx(-0.3)


def test_intercepts_balance_the_positives() -> None:
    """The fit with slope 1 has as many positives as it expects."""
    intercepts = fit_intercepts(LOGITS, POSITIVE, WEIGHTS)
    p = 1 / (1 + np.exp(-(intercepts[:, None] + LOGITS)))
    assert (WEIGHTS * p).sum(1) == pytest.approx(WEIGHTS @ POSITIVE)


@pytest.mark.parametrize(("sign", "expected"), [(1, np.inf), (-1, -np.inf), (0, np.nan)])
def test_slope_of_parted_classes_does_not_converge(sign: int, expected: float) -> None:
    positive = np.arange(10) >= 6
    slopes = fit_slopes(sign * np.arange(10.0), positive, np.ones((1, 10)))
    np.testing.assert_equal(slopes, [expected])


def test_slope_of_classes_that_touch_does_not_converge() -> None:
    slopes = fit_slopes(
        np.array([0.0, 1, 1, 2]), np.array([False, False, True, True]), np.ones((1, 4))
    )
    assert np.isposinf(slopes).all()


def test_slope_of_nearly_parted_classes_converges() -> None:
    logits = np.append(np.linspace(-8, 8, 40), [0.1, -0.1])
    positive = logits > 0
    positive[-2:] = [False, True]
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=100_000)
    expected = model.fit(logits[:, None], positive).coef_[0, 0]
    assert fit_slopes(logits, positive, np.ones((1, 42))) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("fit", [fit_slopes, fit_intercepts])
def test_fit_of_one_class_is_nan(fit: object) -> None:
    assert callable(fit)
    assert np.isnan(fit(LOGITS, np.ones(150, bool), WEIGHTS)).all()


def test_fit_takes_a_class_only_where_it_has_weight() -> None:
    weights = np.stack([np.ones(150), POSITIVE.astype(float)])
    assert np.isnan(fit_slopes(LOGITS, POSITIVE, weights)).tolist() == [False, True]


def test_calibration_cuts_certain_probabilities() -> None:
    p = np.where(POSITIVE, 1.0, 0.0)
    p[:20] = 1 - p[:20]
    figures = compute_calibration_figures(Outcomes(POSITIVE, p[None]), np.ones((1, 150)))
    cut = np.clip(p, 1e-6, 1 - 1e-6)
    expected = fit_slopes(logit(cut), POSITIVE, np.ones((1, 150)))
    assert figures["calibration_slope"] == pytest.approx(expected[None])
    assert np.isfinite(expected).all()


def test_calibration_is_that_of_each_repeat() -> None:
    outcomes = Outcomes(POSITIVE, np.stack([P, P**2]))
    figures = compute_calibration_figures(outcomes, WEIGHTS)
    second = compute_calibration_figures(Outcomes(POSITIVE, P[None] ** 2), WEIGHTS)
    for name in ("calibration_slope", "calibration_intercept"):
        assert figures[name].shape == (2, 20)
        np.testing.assert_array_equal(figures[name][1], second[name][0])


def test_brier_is_the_mean_squared_error() -> None:
    figures = compute_brier_figures(BY_HAND, ONCE)
    brier = (0.01 + 0.36 + 0.36 + 0.04 + 0.25) / 5
    assert figures["brier"] == pytest.approx(np.array([[brier]]))
    assert figures["brier_scaled"] == pytest.approx(np.array([[1 - brier / 0.24]]))


def test_brier_counts_a_subject_by_its_weight() -> None:
    figures = compute_brier_figures(BY_HAND, np.array([[3.0, 1, 0, 0, 0]]))
    assert figures["brier"] == pytest.approx(np.array([[(3 * 0.01 + 0.36) / 4]]))


def test_scaled_brier_of_one_class_is_missing() -> None:
    figures = compute_brier_figures(BY_HAND, np.array([[1.0, 0, 1, 0, 0]]))
    assert np.isnan(figures["brier_scaled"]).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sensitivity", 1 / 2),
        ("specificity", 1 / 3),
        ("ppv", 1 / 3),
        ("npv", 1 / 2),
        ("net_benefit", 1 / 5 - 2 / 5),
        ("net_benefit_all", 2 / 5 - 3 / 5),
    ],
)
def test_decision_figures_equal_those_by_hand(name: str, expected: float) -> None:
    figures = compute_decision_figures(BY_HAND, ONCE, 0.5)
    assert figures[name] == pytest.approx(np.array([[expected]]))


def test_net_benefit_states_the_price_of_a_false_positive() -> None:
    figures = compute_decision_figures(BY_HAND, ONCE, 0.2)
    # All are called positive: two rightly, three wrongly, of which each costs a quarter.
    assert figures["net_benefit"] == pytest.approx(np.array([[(2 - 3 / 4) / 5]]))
    np.testing.assert_allclose(figures["net_benefit"], figures["net_benefit_all"])


def test_outcomes_of_a_negative_class_are_of_any_other() -> None:
    predictions = draw_predictions(30)
    outcomes = build_outcomes([predictions], 3, negative_label=1)
    assert outcomes is not None
    assert outcomes.positive_mask.tolist() == (predictions.labels != 1).tolist()
    expected = 1 - predictions.probabilities[:, 1].astype(float)
    np.testing.assert_array_equal(outcomes.probabilities, [expected])


def test_outcomes_of_two_classes_are_of_the_second() -> None:
    predictions = draw_predictions(30, n_classes=2)
    outcomes = build_outcomes([predictions, predictions], 2, negative_label=None)
    assert outcomes is not None
    assert outcomes.positive_mask.tolist() == (predictions.labels == 1).tolist()
    np.testing.assert_array_equal(outcomes.probabilities, [predictions.probabilities[:, 1]] * 2)


def diverge(predictions: Predictions) -> Predictions:
    return predictions._replace(probabilities=np.full_like(predictions.probabilities, np.nan))


def test_outcomes_of_three_classes_do_not_exist() -> None:
    assert build_outcomes([draw_predictions()], 3, negative_label=None) is None


def test_outcomes_with_a_diverged_repeat_do_not_exist() -> None:
    predictions = draw_predictions()
    assert build_outcomes([predictions, diverge(predictions)], 3, negative_label=0) is None


def test_smooth_outcomes_on_a_line_are_the_line() -> None:
    p = np.linspace(0.1, 0.9, 50)
    grid = np.array([0.1, 0.33, 0.9])
    # Shares instead of outcomes: the smoother is linear in them.
    assert smooth_outcomes(p, 0.2 + 0.5 * p, grid) == pytest.approx(0.2 + 0.5 * grid)


def test_smooth_outcomes_equal_a_weighted_line() -> None:
    grid = np.array([0.6])
    distances = np.abs(P - 0.6)
    width = np.sort(distances)[99] * 1.001  # two thirds of 150
    weights = np.clip(1 - (distances / width) ** 3, 0, None) ** 3
    line = np.polyfit(P, POSITIVE, 1, w=np.sqrt(weights))
    assert smooth_outcomes(P, POSITIVE, grid) == pytest.approx(np.polyval(line, 0.6))


def test_smooth_outcomes_outside_the_probabilities_are_missing() -> None:
    smooth = smooth_outcomes(
        np.array([0.4, 0.5, 0.6]), np.array([False, True, True]), np.array([0.39, 0.61])
    )
    assert np.isnan(smooth).all()


def test_smooth_outcomes_of_equal_probabilities_are_their_share() -> None:
    p = np.full(8, 0.3)
    assert smooth_outcomes(p, np.arange(8) < 2, np.array([0.3])) == pytest.approx(0.25)


def test_calibration_points_count_all_subjects() -> None:
    points = list_calibration_points(Outcomes(POSITIVE, np.stack([P, P**2])))
    assert len(points) == 100
    assert sum(point.positives for point in points) == pytest.approx(POSITIVE.sum())
    assert sum(point.negatives for point in points) == pytest.approx((~POSITIVE).sum())


def test_calibration_points_count_the_subjects_of_their_bin() -> None:
    (point,) = [point for point in list_calibration_points(BY_HAND) if point.p == 0.905]
    assert (point.positives, point.negatives) == (1, 0)


def test_calibration_points_are_the_mean_of_the_curves() -> None:
    grid = (np.arange(100) + 0.5) / 100
    curves = [smooth_outcomes(p, POSITIVE, grid) for p in (P, P**2)]
    points = list_calibration_points(Outcomes(POSITIVE, np.stack([P, P**2])))
    observed = np.array([point.observed for point in points], float)
    np.testing.assert_allclose(observed, np.mean(curves, 0))


@pytest.mark.parametrize("threshold", [0.01, 0.5, 0.99])
def test_decision_points_have_the_net_benefit(threshold: float) -> None:
    figures = compute_decision_figures(BY_HAND, ONCE, threshold)
    (point,) = [point for point in list_decision_points(BY_HAND) if point.threshold == threshold]
    assert point.model == pytest.approx(figures["net_benefit"].item())
    assert point.treat_all == pytest.approx(figures["net_benefit_all"].item())
    assert point.treat_none == 0


def test_decision_points_of_the_model_never_exceed_the_prevalence() -> None:
    points = list_decision_points(OUTCOMES)
    assert len(points) == 99
    assert max(point.model for point in points) <= POSITIVE.mean()
