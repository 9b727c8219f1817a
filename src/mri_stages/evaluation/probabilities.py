"""Whether the probabilities of two classes can be trusted, and what a decision by them is worth.

The figures are those that Van Calster and others (STRATOS, Lancet Digital Health 2025, arXiv
2412.10288) ask of a model: calibration, Brier score, net benefit, sensitivity and specificity.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.evaluation.confidence import Weights
from mri_stages.storage.predictions import Predictions
from mri_stages.storage.records import CalibrationPoint, DecisionPoint

LEAST_PROBABILITY = 1e-6  # of a logit: p is cut to this and to 1 - this

MAX_NEWTON_STEPS = 100
MAX_NEWTON_DECREMENT = 1e-14  # of a fit that has converged: twice what the likelihood can gain

N_BINS = 100  # of the probabilities, in the table of the calibration
SPAN = 2 / 3  # share of the subjects that decide a point of the smooth curve
MIN_LOCAL_DEVIATION = (
    1e-3  # of the probabilities at a point with a slope, as a share of their range
)
THRESHOLDS = np.arange(1, 100) / 100  # of the decision curve

Floats = NDArray[np.float64]
FiguresByName = dict[str, Floats]  # (R, n) of R repeats and n weightings; NaN where there is none


class Outcomes(NamedTuple):
    """Subjects (S,), without ids rows, of two classes, as each of R repeats predicts them."""

    positive_mask: NDArray[np.bool_]  # (S,)
    probabilities: Floats  # (R, S) of the positive class


def build_outcomes(
    repeats: Sequence[Predictions], n_classes: int, negative_label: int | None
) -> Outcomes | None:
    """Return outcomes and probabilities, from the predictions of each repeat of the same rows.

    Positive is any class but the negative one; without a `negative_label`, the second of two
    classes. None for more classes without one, and where a probability is NaN.
    """
    probabilities = np.stack([predictions.probabilities for predictions in repeats])
    labels = repeats[0].labels
    if np.isnan(probabilities).any():
        return None
    if negative_label is not None:
        negative = probabilities[:, :, negative_label].astype(np.float64)
        return Outcomes(labels != negative_label, 1 - negative)
    if n_classes != 2:
        return None
    return Outcomes(labels == 1, probabilities[:, :, 1].astype(np.float64))


def compute_brier_figures(outcomes: Outcomes, weights: Weights) -> FiguresByName:
    """Return `brier`, the mean squared error of p, and `brier_scaled`.

    The latter is 1 for certain and right, 0 for the share of positives as the p of all.
    """
    n_subjects = weights.sum(1)
    errors = (outcomes.probabilities - outcomes.positive_mask) ** 2
    brier = errors @ weights.T / n_subjects
    prevalence = weights @ outcomes.positive_mask / n_subjects
    return {"brier": brier, "brier_scaled": 1 - divide(brier, prevalence * (1 - prevalence))}


def compute_decision_figures(
    outcomes: Outcomes, weights: Weights, threshold: float
) -> FiguresByName:
    """Return what is right of those called positive, p >= threshold, and of the others.

    `net_benefit` counts true positives per subject, less false positives at the price that the
    threshold states: threshold / (1 - threshold) (Vickers and Elkin 2006). `net_benefit_all` is
    that of calling all positive.
    """
    positive_mask = outcomes.positive_mask
    called_mask = outcomes.probabilities >= threshold
    n_subjects = weights.sum(1)
    n_positive = weights @ positive_mask
    n_negative = n_subjects - n_positive
    true_positive = (called_mask & positive_mask) @ weights.T
    false_positive = (called_mask & ~positive_mask) @ weights.T
    true_negative = n_negative - false_positive
    n_called = true_positive + false_positive

    price = threshold / (1 - threshold)
    net_benefit_all = (n_positive - n_negative * price) / n_subjects
    return {
        "sensitivity": divide(true_positive, n_positive),
        "specificity": divide(true_negative, n_negative),
        "ppv": divide(true_positive, n_called),
        "npv": divide(true_negative, n_subjects - n_called),
        "net_benefit": (true_positive - false_positive * price) / n_subjects,
        "net_benefit_all": np.broadcast_to(net_benefit_all, true_positive.shape),
    }


def divide(counts: Floats, totals: Floats) -> Floats:
    """Return the shares; NaN of a total of 0, such as where nobody is called positive."""
    shares: Floats = counts / np.where(totals > 0, totals, np.nan)
    return shares


def compute_calibration_figures(outcomes: Outcomes, weights: Weights) -> FiguresByName:
    """Return slope and intercept of the logits of p, by logistic regression without a penalty.

    `calibration_slope` is b of a + b logit(p): below 1, p is too extreme. `calibration_intercept`
    is a of a + logit(p): above 0, p is too low.
    """
    slopes = [
        fit_slopes(compute_logits(probabilities), outcomes.positive_mask, weights)
        for probabilities in outcomes.probabilities
    ]
    intercepts = compute_calibration_intercepts(outcomes, weights)
    return {"calibration_slope": np.stack(slopes), "calibration_intercept": intercepts}


def compute_calibration_intercepts(outcomes: Outcomes, weights: Weights) -> Floats:
    """Return the `calibration_intercept` (R, n), also called calibration in the large."""
    intercepts = [
        fit_intercepts(compute_logits(probabilities), outcomes.positive_mask, weights)
        for probabilities in outcomes.probabilities
    ]
    return np.stack(intercepts)


def compute_logits(probabilities: Floats) -> Floats:
    """Return the logits of probabilities, which are cut so that none is infinite."""
    # Its import takes half a second, and not all stages need it.
    from scipy.special import logit

    logits: Floats = logit(probabilities.clip(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
    return logits


def fit_slopes(logits: Floats, positive_mask: NDArray[np.bool_], weights: Weights) -> Floats:
    """Return the slope b (n,) of a + b logit in each of n weightings (n, S).

    It is infinite where the logits part the two classes, and NaN where one class is missing or all
    logits are equal: then no fit converges.
    """
    # Each class's extremes, among the subjects with a weight.
    positive_logits = np.where((weights > 0) & positive_mask, logits, np.nan)
    negative_logits = np.where((weights > 0) & ~positive_mask, logits, np.nan)
    is_above = find_least(positive_logits) >= -find_least(-negative_logits)
    is_below = find_least(negative_logits) >= -find_least(-positive_logits)

    slopes = np.full(len(weights), np.nan)
    slopes[is_above & ~is_below] = np.inf
    slopes[is_below & ~is_above] = -np.inf
    overlaps = ~is_above & ~is_below
    if overlaps.any():
        # Logits of deviation 1 make a fit stable.
        scale = logits.std()
        design = np.stack([np.ones_like(logits), (logits - logits.mean()) / scale], axis=1)
        no_offset = np.zeros_like(logits)
        coefficients = fit_logistic(design, no_offset, positive_mask, weights[overlaps])
        slopes[overlaps] = coefficients[:, 1] / scale
    return slopes


def find_least(values: Floats) -> Floats:
    """Return the least value (n,) of each row (n, S); infinity where all are NaN."""
    least: Floats = np.fmin.reduce(values, axis=1, initial=np.inf)
    return least


def fit_intercepts(logits: Floats, positive_mask: NDArray[np.bool_], weights: Weights) -> Floats:
    """Return a (n,) of a + logit in each of n weightings (n, S); NaN where one class is missing."""
    n_positive = weights @ positive_mask
    is_mixed = (n_positive > 0) & (n_positive < weights.sum(1))
    intercepts = np.full(len(weights), np.nan)
    if is_mixed.any():
        design = np.ones((len(logits), 1))
        coefficients = fit_logistic(design, logits, positive_mask, weights[is_mixed])
        intercepts[is_mixed] = coefficients[:, 0]
    return intercepts


def fit_logistic(
    design: Floats, offset: Floats, positive_mask: NDArray[np.bool_], weights: Weights
) -> Floats:
    """Return the coefficients (n, k) of logistic regression in each of n weightings (n, S).

    design: (S, k); offset: (S,) of the logits. It is Newton's method on all weightings at once,
    with a step halved until the likelihood grows. NaN where it does not converge.
    """
    n_columns = design.shape[1]
    products = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    fitted = np.full((len(weights), n_columns), np.nan)

    # Fits that have not converged: where they are, and the step that leads to the next point.
    active = np.arange(len(weights))
    points = np.zeros((len(weights), n_columns))
    steps = np.zeros_like(points)
    likelihoods = np.full(len(weights), -np.inf)
    for _ in range(MAX_NEWTON_STEPS):
        active_weights = weights[active]
        logits = (points + steps) @ design.T + offset
        log_normalisers = np.logaddexp(0, logits)
        new_likelihoods = (active_weights * (positive_mask * logits - log_normalisers)).sum(1)
        has_grown = new_likelihoods >= likelihoods - 1e-9 * np.abs(likelihoods)

        probabilities = np.exp(logits - log_normalisers)
        gradients = (active_weights * (positive_mask - probabilities)) @ design
        curvatures = (active_weights * probabilities * (1 - probabilities)) @ products
        newton_steps = solve_systems(curvatures.reshape(-1, n_columns, n_columns), gradients)

        points = np.where(has_grown[:, None], points + steps, points)
        likelihoods = np.where(has_grown, new_likelihoods, likelihoods)
        steps = np.where(has_grown[:, None], newton_steps, steps / 2)

        decrements = (gradients * newton_steps).sum(1)
        is_done = has_grown & (decrements < MAX_NEWTON_DECREMENT)
        fitted[active[is_done]] = (points + steps)[is_done]
        is_open = ~is_done & np.isfinite(steps).all(1)
        active = active[is_open]
        points = points[is_open]
        steps = steps[is_open]
        likelihoods = likelihoods[is_open]
        if not len(active):
            break
    return fitted


def solve_systems(matrices: Floats, vectors: Floats) -> Floats:
    """Return the solution (n, k) of each of n systems; NaN where a matrix (k, k) is singular."""
    solutions = np.full_like(vectors, np.nan)
    determinants = np.linalg.det(matrices)
    is_regular = np.isfinite(determinants) & (determinants > 0)
    columns = vectors[is_regular][:, :, None]
    solutions[is_regular] = np.linalg.solve(matrices[is_regular], columns)[:, :, 0]
    return solutions


def list_calibration_points(outcomes: Outcomes) -> list[CalibrationPoint]:
    """Return, for bins of equal width, the smooth share of positives and the subjects in the bin.

    Both are means over repeats. The smooth share is missing outside the predictions of any repeat.
    """
    edges = np.linspace(0, 1, N_BINS + 1)
    middles = (np.arange(N_BINS) + 0.5) / N_BINS
    curves = []
    positives = []
    negatives = []
    for probabilities in outcomes.probabilities:
        mask = outcomes.positive_mask
        curves.append(smooth_outcomes(probabilities, mask, middles))
        positives.append(np.histogram(probabilities[mask], edges)[0])
        negatives.append(np.histogram(probabilities[~mask], edges)[0])

    points = []
    columns = (np.mean(curves, 0), np.mean(positives, 0), np.mean(negatives, 0))
    for middle, observed, n_positive, n_negative in zip(middles, *columns, strict=True):
        share = None if np.isnan(observed) else float(observed)
        points.append(CalibrationPoint(float(middle), share, float(n_positive), float(n_negative)))
    return points


def smooth_outcomes(
    probabilities: Floats, outcomes: NDArray[np.bool_] | Floats, grid: Floats
) -> Floats:
    """Return the share of positives (G,) near each p of the grid; NaN outside the probabilities.

    It is a local linear regression with tricube weights on the nearest two thirds (Cleveland, J.
    Am. Stat. Assoc. 74 (1979) 829), without his robust steps, which would take the rarer outcome of
    a 0 or 1 for an error.
    """
    distances = np.abs(grid[:, None] - probabilities)
    n_near = int(np.ceil(SPAN * len(probabilities)))
    widths = np.partition(distances, n_near - 1, axis=1)[:, n_near - 1]
    # A little wider, so that the last of the nearest counts, and not 0 where many p are equal.
    widths = np.maximum(widths * 1.001, 1e-12)
    weights = (1 - np.minimum(distances / widths[:, None], 1) ** 3) ** 3
    weights /= weights.sum(1, keepdims=True)

    mean_p = weights @ probabilities
    mean_y = weights @ outcomes
    deviations = probabilities - mean_p[:, None]
    variances = (weights * deviations**2).sum(1)
    covariances = (weights * deviations) @ outcomes
    least_variance = (MIN_LOCAL_DEVIATION * np.ptp(probabilities)) ** 2
    slopes = np.zeros_like(grid)
    np.divide(covariances, variances, where=variances > least_variance, out=slopes)

    smooth: Floats = (mean_y + slopes * (grid - mean_p)).clip(0, 1)
    smooth[(grid < probabilities.min()) | (grid > probabilities.max())] = np.nan
    return smooth


def list_decision_points(outcomes: Outcomes) -> list[DecisionPoint]:
    """Return the net benefit of the model, and of calling all or none positive, by threshold."""
    equal_weights = np.ones((1, len(outcomes.positive_mask)))
    points = []
    for threshold in THRESHOLDS.tolist():
        figures = compute_decision_figures(outcomes, equal_weights, threshold)
        model = float(figures["net_benefit"].mean())
        treat_all = float(figures["net_benefit_all"].mean())
        points.append(DecisionPoint(threshold, model, treat_all))
    return points
