"""The 95 % confidence interval of an accuracy."""

from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap

RESAMPLES = 9999

Subjects = NDArray[np.int64] | None  # (N,) ids; None where they are unknown


def clustered(subjects: Subjects) -> TypeGuard[NDArray[np.int64]]:
    """Return whether the rows are known to come from two subjects or more."""
    return subjects is not None and len(np.unique(subjects)) > 1


def interval_name(subjects: Subjects) -> str:
    """Return the name of the method that `confidence_interval` uses for these rows."""
    return "bootstrap over subjects" if clustered(subjects) else "Wilson"


def confidence_interval(correct: NDArray[np.bool_], subjects: Subjects) -> tuple[float, float]:
    """Return the 95 % confidence interval of the accuracy of the rows `correct` (N,).

    Slices of one subject are right or wrong together, so with two subjects or more it is the
    percentile bootstrap over subjects (Efron 1979), seeded. Where all rows are right, or all are
    wrong, resampling shows no variation: there it is Wilson's score interval (1927) with one draw
    per subject. Without ids it is Wilson's with one draw per row.
    """
    draws = subjects if clustered(subjects) else np.arange(len(correct))
    _, draw_of_row = np.unique(draws, return_inverse=True)
    right, rows = np.bincount(draw_of_row, correct), np.bincount(draw_of_row)
    if clustered(subjects) and 0 < right.sum() < len(correct):
        found = bootstrap(
            (right, rows),
            lambda right, rows, axis: right.sum(axis) / rows.sum(axis),
            paired=True,
            method="percentile",
            n_resamples=RESAMPLES,
            batch=1000,
            rng=np.random.default_rng(0),
        ).confidence_interval
    else:
        n_right = round(correct.mean() * len(rows))
        found = binomtest(n_right, len(rows)).proportion_ci(method="wilson")
    return float(found.low), float(found.high)
