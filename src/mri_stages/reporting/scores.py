"""The scores that every table shows, in one order: proper ones first, accuracy and F1 last.

The order is that of Van Calster and others (STRATOS, Lancet Digital Health 2025, arXiv 2412.10288):
accuracy and F1 are improper, since a model can raise them by being wrong about probabilities.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mri_stages.storage.records import Metrics


class Score(NamedTuple):
    """A score of a model: a column of a table."""

    key: str  # of `Metrics`
    heading: str


AUC = Score("auc", "AUC")
AUC_BY_FOLD = Score("auc_by_fold", "mean of the folds' AUCs")
SCALED_BRIER = Score("brier_scaled", "scaled Brier score")
SLOPE = Score("calibration_slope", "calibration slope")
INTERCEPT = Score("calibration_intercept", "calibration intercept")
NET_BENEFIT = Score("net_benefit", "net benefit")
SENSITIVITY = Score("sensitivity", "sensitivity")
SPECIFICITY = Score("specificity", "specificity")
PPV = Score("ppv", "positive predictive value")
NPV = Score("npv", "negative predictive value")
BALANCED_ACCURACY = Score("balanced_accuracy", "balanced accuracy")
LOSS = Score("loss", "loss")
ACCURACY = Score("accuracy", "accuracy")
MACRO_F1 = Score("macro_f1", "macro F1")

PROBABILITY_SCORES = (AUC, SCALED_BRIER, SLOPE, INTERCEPT)
DECISION_SCORES = (NET_BENEFIT, SENSITIVITY, SPECIFICITY, PPV, NPV)
CLASS_SCORES = (LOSS, BALANCED_ACCURACY, ACCURACY, MACRO_F1)  # of all classes
ALL_SCORES = (*PROBABILITY_SCORES, *DECISION_SCORES, *CLASS_SCORES)


def select_known_scores(
    scores: Iterable[Score], metrics_by_name: Mapping[str, Metrics]
) -> list[Score]:
    """Return the scores that one model or more has."""
    known_scores = []
    for score in scores:
        estimates = [metrics.get_estimate(score.key) for metrics in metrics_by_name.values()]
        if any(estimate.value is not None for estimate in estimates):
            known_scores.append(score)
    return known_scores
