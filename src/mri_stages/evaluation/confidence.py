"""95 % confidence intervals over subjects."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

N_RESAMPLES = 1999
MIN_RESAMPLES = 200
MAX_BOOTSTRAP_WEIGHTS = 2**24  # cap on resamples x rows, so that the bootstrap takes seconds
MAX_BLOCK_WEIGHTS = 2**22  # resamples x rows in memory at a time

Subjects = NDArray[np.int64] | None  # (N,) ids; None where they are unknown
Weights = NDArray[np.float64]  # (n, N) how often each row is in each of n resamples
Statistic = Callable[[Weights], Sequence[NDArray[np.float64]]]


class Interval(NamedTuple):
    low: float
    high: float


def has_several_subjects(subjects: Subjects) -> TypeGuard[NDArray[np.int64]]:
    """Return whether the rows are known to come from two subjects or more."""
    return subjects is not None and len(np.unique(subjects)) > 1


def bootstrap_interval(statistic: Statistic, n_rows: int, subjects: Subjects) -> Interval:
    """Return the percentile bootstrap over subjects (Efron 1979), or over rows without ids.

    It is seeded. statistic: takes weights (n, n_rows) and returns figures (k, n), of which the mean
    over k counts. A figure is NaN where a resample has no rows for it.
    """
    units = subjects if has_several_subjects(subjects) else np.arange(n_rows)
    _, unit_of_row = np.unique(units, return_inverse=True)
    n_units = int(unit_of_row.max()) + 1
    equal_shares = np.full(n_units, 1 / n_units)
    n_resamples = min(N_RESAMPLES, max(MIN_RESAMPLES, MAX_BOOTSTRAP_WEIGHTS // n_rows))
    block_size = max(1, MAX_BLOCK_WEIGHTS // n_rows)

    rng = np.random.default_rng(0)
    values: list[float] = []
    while len(values) < n_resamples:
        n_draws = min(block_size, n_resamples - len(values))
        unit_counts = rng.multinomial(n_units, equal_shares, size=n_draws)
        weights = unit_counts[:, unit_of_row].astype(np.float64)
        with np.errstate(invalid="ignore"):  # a figure may be 0 / 0
            figures = statistic(weights)
        values += np.ma.masked_invalid(figures).mean(0).filled(np.nan).tolist()

    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))


def compute_accuracy_interval(correct: NDArray[np.bool_], subjects: Subjects) -> Interval:
    """Return the 95 % confidence interval of the accuracy of the rows `correct` (N,).

    With two subjects or more it is the bootstrap over subjects. Where all rows are right or all are
    wrong, there is nothing to resample: it is Wilson's score interval (1927) of the subjects. With
    fewer subjects, or without ids, it is Wilson's of the rows.
    """
    if not has_several_subjects(subjects):
        return _compute_wilson_interval(correct.mean(), len(correct))
    if correct.all() or not correct.any():
        return _compute_wilson_interval(correct.mean(), len(np.unique(subjects)))
    return bootstrap_interval(
        lambda weights: [weights @ correct / weights.sum(1)], len(correct), subjects
    )


def _compute_wilson_interval(share: float, n_draws: int) -> Interval:
    result = binomtest(round(share * n_draws), n_draws).proportion_ci(method="wilson")
    return Interval(float(result.low), float(result.high))
