"""What the data can show before anything is trained: how wide the interval of an AUC will be.

Two formulas of Hanley and McNeil: the standard error of an AUC (Radiology 143 (1982) 29), and the
correlation of two AUCs on the same subjects (Radiology 148 (1983) 839).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import owens_t
from scipy.stats import norm

from mri_stages.console import format_count
from mri_stages.storage.records import ClassCount, ExpectedAuc, Power, Unit

EXPECTED_AUCS = (0.6, 0.7, 0.8, 0.9)
SHOWN_AUC = 0.8  # in sentences
CORRELATIONS = (0.0, 0.5, 0.8)  # of the scores of two models, within a class

LEVEL_DEVIATIONS = float(norm.ppf(0.975))  # of a two-sided test at 5 %, and of a 95 % interval
POWER_DEVIATIONS = float(norm.ppf(0.8))  # a difference is seen in 80 % of such data sets

MAX_LISTED_CLASSES = 8  # in sentences

Integers = NDArray[np.int64]


class Contrast(NamedTuple):
    """The units on the two sides of an ROC curve."""

    n_positive: int
    n_negative: int


def compute_auc_error(auc: float, contrast: Contrast) -> float:
    """Return the standard error of an AUC (Hanley and McNeil 1982)."""
    two_positives_win = auc / (2 - auc)  # the probability that two beat the same negative
    two_negatives_lose = 2 * auc**2 / (1 + auc)
    n_positive, n_negative = contrast
    variance = (
        auc * (1 - auc)
        + (n_positive - 1) * (two_positives_win - auc**2)
        + (n_negative - 1) * (two_negatives_lose - auc**2)
    ) / (n_positive * n_negative)
    return math.sqrt(variance)


def compute_auc_correlation(auc: float, score_correlation: float) -> float:
    """Return the correlation of two AUCs on the same units, from that of their scores.

    It is that of normal scores in large samples; the table of Hanley and McNeil (1983) has it to
    two digits. Two pairs of units that share one unit correlate by half of the scores' correlation.
    """
    covariance = compute_pair_covariance(auc, score_correlation / 2)
    return covariance / compute_pair_covariance(auc, 1 / 2)


def compute_pair_covariance(auc: float, correlation: float) -> float:
    """Return the covariance of two events of probability `auc`, from correlated normal scores.

    The probability of both is that of two normal numbers below the same threshold (Owen 1956).
    """
    threshold = norm.ppf(auc)
    slope = math.sqrt((1 - correlation) / (1 + correlation))
    both = auc - 2 * owens_t(threshold, slope)
    return float(both - auc**2)


def find_smallest_difference(
    auc: float, contrasts: Sequence[Contrast], score_correlation: float
) -> float | None:
    """Return how much better than `auc` a model must be to be seen in 80 % of such data sets.

    The test is two-sided at 5 %. Of several curves, the mean of their standard errors counts, which
    is the largest error that their mean can have. None if not even an AUC of 1 would be seen.
    """
    error = compute_mean_error(auc, contrasts)

    def compute_excess(difference: float) -> float:
        better_auc = auc + difference
        better_error = compute_mean_error(better_auc, contrasts)
        correlation = compute_auc_correlation(auc + difference / 2, score_correlation)
        variance = error**2 + better_error**2 - 2 * correlation * error * better_error
        return difference - (LEVEL_DEVIATIONS + POWER_DEVIATIONS) * math.sqrt(variance)

    largest_difference = 1 - auc
    if compute_excess(largest_difference) < 0:
        return None
    return float(brentq(compute_excess, 0, largest_difference))


def compute_mean_error(auc: float, contrasts: Sequence[Contrast]) -> float:
    return float(np.mean([compute_auc_error(auc, contrast) for contrast in contrasts]))


def forecast(
    labels: Integers,
    folds_by_repeat: Sequence[Integers],
    classes: Sequence[str],
    negative_label: int | None,
    unit: Unit,
) -> Power:
    """Return what units (U,), which are subjects or rows, can show in cross-validation.

    folds_by_repeat: the fold (U,) of each unit, for each repeat; none where no folds are possible.
    negative_label: see `build_roc_curves`.
    """
    class_counts = count_classes(labels, folds_by_repeat, classes, unit)
    contrasts = list_contrasts(class_counts, negative_label) if folds_by_repeat else []
    expected = []
    if contrasts:
        expected = [expect_auc(auc, contrasts) for auc in EXPECTED_AUCS]
    unscored = [class_count.name for class_count in class_counts if not class_count.scored]
    power = Power(
        by=unit,
        count=len(labels),
        unscored_classes=", ".join(unscored) or None,
        classes=class_counts,
        expected=expected,
        sentences=[],
    )
    negative_class = None if negative_label is None else classes[negative_label]
    return power.model_copy(update={"sentences": write_sentences(power, negative_class)})


def count_classes(
    labels: Integers, folds_by_repeat: Sequence[Integers], classes: Sequence[str], unit: Unit
) -> list[ClassCount]:
    """Return the units of each class, and in how many folds they are (the fewest of a repeat)."""
    n_folds = min((len(np.unique(folds)) for folds in folds_by_repeat), default=0)
    class_counts = []
    for label, name in enumerate(classes):
        class_mask = labels == label
        fold_counts = [len(np.unique(folds[class_mask])) for folds in folds_by_repeat]
        count = int(class_mask.sum())
        test_folds = min(fold_counts, default=0)
        class_count = ClassCount(name=name, count=count, test_folds=test_folds)
        note = write_class_note(class_count, n_folds, unit)
        update: dict[str, Any] = {"scored": test_folds > 1, "note": note}
        class_counts.append(class_count.model_copy(update=update))
    return class_counts


def write_class_note(class_count: ClassCount, n_folds: int, unit: Unit) -> str:
    """Return what the number of a class's units means for its score; empty where all is well."""
    count = class_count.count
    units = format_count(count, unit)
    if count == 0:
        return f"no {unit}: cannot be scored"
    if n_folds == 0:
        return ""
    if class_count.test_folds == 1:
        return f"{units}, all in one fold: cannot be learned and tested, so it is not scored"
    if class_count.test_folds < n_folds:
        n_missing = n_folds - class_count.test_folds
        return f"{units} for {n_folds} folds: {format_count(n_missing, 'fold')} cannot test it"
    return ""


def list_contrasts(
    class_counts: Sequence[ClassCount], negative_label: int | None
) -> list[Contrast]:
    """Return the curves of which the AUC is the mean, as `build_roc_curves` does."""
    n_units = sum(class_count.count for class_count in class_counts)
    if negative_label is not None:
        n_negative = class_counts[negative_label].count
        contrasts = [Contrast(n_units - n_negative, n_negative)]
    else:
        contrasts = []
        for class_count in class_counts:
            if class_count.scored:
                contrasts.append(Contrast(class_count.count, n_units - class_count.count))
    return [contrast for contrast in contrasts if min(contrast) > 0]


def expect_auc(auc: float, contrasts: Sequence[Contrast]) -> ExpectedAuc:
    """Return the interval that an AUC would have, and the smallest difference from it."""
    half_width = LEVEL_DEVIATIONS * compute_mean_error(auc, contrasts)
    differences = [
        find_smallest_difference(auc, contrasts, correlation) for correlation in CORRELATIONS
    ]
    return ExpectedAuc(
        auc=auc,
        low=max(0.0, auc - half_width),
        high=min(1.0, auc + half_width),
        difference_0=differences[0],
        difference_50=differences[1],
        difference_80=differences[2],
    )


def write_sentences(power: Power, negative_class: str | None) -> list[str]:
    """Return a few plain sentences: the counts, the interval, the difference, the classes."""
    counts = [f"{class_count.name} {class_count.count}" for class_count in power.classes]
    n_more = len(counts) - MAX_LISTED_CLASSES
    more = f" and {n_more} more" if n_more > 0 else ""
    listed = ", ".join(counts[:MAX_LISTED_CLASSES])
    sentences = [f"These data have {format_count(power.count, power.by)}: {listed}{more}."]

    shown = [expected for expected in power.expected if expected.auc == SHOWN_AUC]
    if shown:
        sentences += write_auc_sentences(shown[0], negative_class)
    else:
        sentences.append("No AUC on new subjects can be computed from them.")
    if power.by == "row":
        sentences.append(
            "Without subject ids each row counts as if it were of another subject: if it is not, "
            "true intervals are wider."
        )
    notes = [f"{item.name}: {item.note}." for item in power.classes if item.note]
    if len(notes) > MAX_LISTED_CLASSES:
        n_more = len(notes) - MAX_LISTED_CLASSES
        notes = [*notes[:MAX_LISTED_CLASSES], f"{n_more} more classes have too few {power.by}s."]
    return [*sentences, *notes]


def write_auc_sentences(expected: ExpectedAuc, negative_class: str | None) -> list[str]:
    """Return a sentence on the interval of an AUC, and one on the smallest difference from it."""
    meaning = "mean of one class against the rest; the interval is at most so wide"
    if negative_class is not None:
        meaning = f"any other class against {negative_class}"
    interval = (
        f"An AUC of {expected.auc:.2f} ({meaning}) will have a 95 % interval of about "
        f"{expected.low:.2f} to {expected.high:.2f}."
    )
    return [interval, write_difference_sentence(expected)]


def write_difference_sentence(expected: ExpectedAuc) -> str:
    """Return how much higher an AUC must be to be seen as better."""
    better = (
        f"be seen as better than a model of AUC {expected.auc:.2f} in 8 of 10 such data sets "
        "(p < 0.05)"
    )
    differences = [expected.difference_0, expected.difference_50, expected.difference_80]
    if all(difference is None for difference in differences):
        return (
            f"It is not possible to {better}: no AUC is high enough, even if the scores of the two "
            f"correlate by {CORRELATIONS[-1]:g} within a class."
        )
    amounts = []
    for difference in differences:
        amounts.append("more than is possible" if difference is None else f"{difference:.2f}")
    return (
        f"To {better}, a model needs an AUC that is higher by {join_by_or(amounts)}, if the scores "
        f"of the two correlate by {join_by_or([f'{value:g}' for value in CORRELATIONS])} within a "
        "class."
    )


def join_by_or(texts: Sequence[str]) -> str:
    """Return several texts as "first, second or third"."""
    return f"{', '.join(texts[:-1])} or {texts[-1]}"
