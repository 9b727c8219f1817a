"""The 95 % interval of an accuracy."""

from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap

RESAMPLES = 9999


def interval_name(subjects: NDArray[np.int64] | None) -> str:
    """Which interval `interval` gives for these rows."""
    return "bootstrap over subjects" if clustered(subjects) else "Wilson"


def interval(correct: NDArray[np.bool_], subjects: NDArray[np.int64] | None) -> tuple[float, float]:
    """The 95 % interval of the accuracy, from `correct` (N,) and subject ids (N,) where known.

    Without ids, Wilson's score interval (1927), which takes the rows as independent. With two
    subjects or more, the percentile bootstrap over subjects (Efron 1979; scipy.stats.bootstrap,
    seeded): slices of one subject are right or wrong together. Where all rows are right, or all
    wrong, resampling knows of no luck: then Wilson's, with as many draws as there are subjects.
    """
    if not clustered(subjects):
        return _wilson(int(correct.sum()), len(correct))
    if len(np.unique(correct)) == 1:
        n_subjects = len(np.unique(subjects))
        return _wilson(n_subjects * int(correct[0]), n_subjects)
    _, cluster = np.unique(subjects, return_inverse=True)
    resampled = bootstrap(
        (np.bincount(cluster, correct), np.bincount(cluster)),
        lambda right, rows, axis: right.sum(axis) / rows.sum(axis),
        paired=True,
        method="percentile",
        n_resamples=RESAMPLES,
        batch=1000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(resampled.low), float(resampled.high)


def _wilson(right: int, of: int) -> tuple[float, float]:
    found = binomtest(right, of).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def clustered(subjects: NDArray[np.int64] | None) -> TypeGuard[NDArray[np.int64]]:
    """Whether the rows are of two subjects or more."""
    return subjects is not None and len(np.unique(subjects)) > 1
