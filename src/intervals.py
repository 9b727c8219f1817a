"""The 95 % interval of an accuracy."""

from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap

RESAMPLES = 9999


def interval_name(subjects: NDArray[np.int64] | None) -> str:
    """Which interval `interval` gives for these rows."""
    return "bootstrap over subjects" if _clustered(subjects) else "Wilson"


def interval(correct: NDArray[np.bool_], subjects: NDArray[np.int64] | None) -> tuple[float, float]:
    """The 95 % interval of the accuracy, from `correct` (N,) and subject ids (N,) where known.

    Without ids, Wilson's score interval (1927), which takes the rows as independent. With two
    subjects or more, the percentile bootstrap over subjects (Efron 1979; scipy.stats.bootstrap,
    seeded): slices of one subject are right or wrong together.
    """
    if not _clustered(subjects):
        wilson = binomtest(int(correct.sum()), len(correct)).proportion_ci(method="wilson")
        return float(wilson.low), float(wilson.high)
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


def _clustered(subjects: NDArray[np.int64] | None) -> TypeGuard[NDArray[np.int64]]:
    return subjects is not None and len(np.unique(subjects)) > 1
