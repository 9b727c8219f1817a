"""95 % confidence intervals over subjects."""

from collections.abc import Callable, Sequence
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

RESAMPLES, FEWEST_RESAMPLES = 1999, 200
MOST_WEIGHTS = 2**24  # of all resamples: with many rows fewer are drawn, to take seconds
BLOCK = 2**22  # weights at a time

Subjects = NDArray[np.int64] | None  # (N,) ids; None where they are unknown
Floats = NDArray[np.float64]


def clustered(subjects: Subjects) -> TypeGuard[NDArray[np.int64]]:
    """Return whether the rows are known to come from two subjects or more."""
    return subjects is not None and len(np.unique(subjects)) > 1


def bootstrap(
    statistic: Callable[[Floats], Sequence[Floats]], n_rows: int, subjects: Subjects
) -> tuple[float, float]:
    """Return the percentile bootstrap over subjects (Efron 1979), or over rows without ids. Seeded.

    statistic: takes weights (n, n_rows), how often each row is in each of n resamples, and returns
    figures (k, n), whose mean over k counts; NaN where a resample has no rows for it.
    """
    units = subjects if clustered(subjects) else np.arange(n_rows)
    _, unit_of_row = np.unique(units, return_inverse=True)
    n_units = int(unit_of_row.max()) + 1
    rng = np.random.default_rng(0)
    values: list[float] = []
    n_resamples = min(RESAMPLES, max(FEWEST_RESAMPLES, MOST_WEIGHTS // n_rows))
    while len(values) < n_resamples:
        n = min(max(1, BLOCK // n_rows), n_resamples - len(values))
        draws = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n)
        with np.errstate(invalid="ignore"):  # 0 / 0
            figures = statistic(draws[:, unit_of_row].astype(np.float64))
        values += np.ma.masked_invalid(figures).mean(0).filled(np.nan).tolist()
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def accuracy_interval(correct: NDArray[np.bool_], subjects: Subjects) -> tuple[float, float]:
    """Return the 95 % confidence interval of the accuracy of the rows `correct` (N,).

    With two subjects or more it is the bootstrap over subjects; where all rows are right or wrong,
    which leaves nothing to resample, Wilson's score interval (1927) of the subjects. Else Wilson's
    of the rows.
    """
    if clustered(subjects) and 0 < correct.sum() < len(correct):
        return bootstrap(lambda w: [w @ correct / w.sum(1)], len(correct), subjects)
    n_draws = len(np.unique(subjects)) if clustered(subjects) else len(correct)
    found = binomtest(round(correct.mean() * n_draws), n_draws).proportion_ci(method="wilson")
    return float(found.low), float(found.high)
