"""95 % confidence intervals over subjects, and over the repeats of a cross-validation."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 1999
MIN_RESAMPLES = 200
MAX_BOOTSTRAP_WEIGHTS = 2**24  # cap on resamples x rows, so that the bootstrap takes seconds
MAX_BLOCK_WEIGHTS = 2**22  # resamples x rows in memory at a time
MAX_MISSING_SHARE = 0.05  # of the resamples that have no figure

Subjects = NDArray[np.int64] | None  # (N,) ids; None where they are unknown
Strata = NDArray[np.int64] | None  # (N,) the same for all rows of a subject; None is one stratum
Weights = NDArray[np.float64]  # (n, N) how often each row is in each of n resamples
Figures = NDArray[np.float64]  # (F, R, n) figures of R repeats; NaN where a resample has none
Statistic = Callable[[Weights], Figures]


class Interval(NamedTuple):
    low: float
    high: float


def has_several_subjects(subjects: Subjects) -> TypeGuard[NDArray[np.int64]]:
    """Return whether the rows are known to come from two subjects or more."""
    return subjects is not None and len(np.unique(subjects)) > 1


def resample_figures(
    statistic: Statistic,
    n_rows: int,
    subjects: Subjects,
    n_repeats: int = 1,
    strata: Strata = None,
) -> NDArray[np.float64]:
    """Return F figures (F, n) in n resamples; NaN where a resample has none. It is seeded.

    A resample draws the subjects (without ids, the rows) with replacement (Efron 1979). From R
    repeats it draws R - 1, since R of R make the variance of a mean too small by (R - 1) / R. A
    figure is the mean over the drawn repeats. strata: subjects are drawn within each of them.
    """
    rng = np.random.default_rng(1)  # another one than that of the subjects
    blocks = []
    for weights in draw_weights(n_rows, subjects, strata):
        with np.errstate(invalid="ignore", divide="ignore"):  # a figure may be 0 / 0
            figures = statistic(weights)
        shares = draw_shares_of_repeats(n_repeats, len(weights), rng)
        blocks.append(average_repeats(figures, shares))
    return np.concatenate(blocks, axis=1)


def draw_weights(n_rows: int, subjects: Subjects, strata: Strata = None) -> Iterator[Weights]:
    """Yield blocks of resamples of the subjects; without the ids of two or more, of the rows.

    strata: each has as many subjects in a resample as in the data.
    """
    units = subjects if has_several_subjects(subjects) else np.arange(n_rows)
    _, first_rows, unit_of_row = np.unique(units, return_index=True, return_inverse=True)
    unit_strata = np.zeros(len(first_rows), np.int64) if strata is None else strata[first_rows]
    units_of_strata = [np.flatnonzero(unit_strata == stratum) for stratum in np.unique(unit_strata)]
    n_resamples = min(N_RESAMPLES, max(MIN_RESAMPLES, MAX_BOOTSTRAP_WEIGHTS // n_rows))
    block_size = max(1, MAX_BLOCK_WEIGHTS // n_rows)

    rng = np.random.default_rng(0)
    for start in range(0, n_resamples, block_size):
        n_draws = min(block_size, n_resamples - start)
        unit_counts = np.empty((n_draws, len(first_rows)), np.int64)
        for members in units_of_strata:
            equal_shares = np.full(len(members), 1 / len(members))
            unit_counts[:, members] = rng.multinomial(len(members), equal_shares, size=n_draws)
        yield unit_counts[:, unit_of_row].astype(np.float64)


def draw_shares_of_repeats(
    n_repeats: int, n_draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the share (R, n) of each repeat in each of n draws of R - 1 repeats."""
    if n_repeats == 1:
        return np.ones((1, n_draws))
    counts = rng.multinomial(n_repeats - 1, np.full(n_repeats, 1 / n_repeats), size=n_draws)
    return counts.T / (n_repeats - 1)


def average_repeats(figures: Figures, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means (F, n) over repeats, by their shares (R, n); NaN counts as missing."""
    present_shares = np.where(np.isnan(figures), 0, shares)
    with np.errstate(invalid="ignore"):  # no repeat may be left, and a figure may be infinite
        products = np.where(present_shares > 0, present_shares * figures, 0)
        means: NDArray[np.float64] = products.sum(1) / present_shares.sum(1)
    return means


def compute_percentile_interval(values: NDArray[np.float64]) -> Interval:
    """Return the percentile interval of a figure (n,) in n resamples; NaN counts as missing."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))


def compute_complete_interval(values: NDArray[np.float64]) -> Interval | None:
    """Return the percentile interval; None if it says nothing.

    That is so where more than 5 % of the resamples have no figure, where an end is infinite, and
    where all resamples have the same figure.
    """
    if np.isnan(values).mean() > MAX_MISSING_SHARE:
        return None
    # The figure of a resample may be infinite.
    with np.errstate(invalid="ignore"):
        interval = compute_percentile_interval(values)
    if not np.isfinite(interval).all() or interval.low == interval.high:
        return None
    return interval


def compute_share_interval(
    values: NDArray[np.float64], share: float, n_subjects: int
) -> Interval | None:
    """Return the interval of a share from its values (n,) in n resamples.

    Where all of the `n_subjects` have it, or none has it, there is nothing to resample: it is the
    exact interval.
    """
    if share in (0, 1):
        return compute_exact_interval(round(share * n_subjects), n_subjects)
    return compute_complete_interval(values)


def compute_accuracy_interval(correct: NDArray[np.bool_], subjects: Subjects) -> Interval:
    """Return the 95 % confidence interval of the accuracy of the rows `correct` (N,).

    With two subjects or more it is the bootstrap over subjects. Where all rows are right or all are
    wrong, there is nothing to resample: it is the exact interval of the subjects. With fewer
    subjects, or without ids, it is Wilson's score interval (1927) of the rows.
    """
    if not has_several_subjects(subjects):
        return compute_binomial_interval(int(correct.sum()), len(correct), "wilson")
    if correct.all() or not correct.any():
        n_subjects = len(np.unique(subjects))
        return compute_exact_interval(n_subjects if correct.all() else 0, n_subjects)
    (accuracies,) = resample_figures(
        lambda weights: (weights @ correct / weights.sum(1))[None, None], len(correct), subjects
    )
    return compute_percentile_interval(accuracies)


def compute_exact_interval(n_right: int, n_draws: int) -> Interval:
    """Return the interval of Clopper and Pearson (Biometrika 26 (1934) 404) of a share."""
    return compute_binomial_interval(n_right, n_draws, "exact")


def compute_binomial_interval(
    n_right: int, n_draws: int, method: Literal["exact", "wilson"]
) -> Interval:
    """Return the interval of a share of independent draws."""
    # Its import takes a second, and few runs need it.
    from scipy.stats import binomtest

    result = binomtest(n_right, n_draws).proportion_ci(method=method)
    return Interval(float(result.low), float(result.high))


def count_subjects(row_mask: NDArray[np.bool_], subjects: Subjects) -> int:
    """Return the number of subjects of the rows (N,) of the mask; without ids, of these rows."""
    if subjects is None:
        return int(row_mask.sum())
    return len(np.unique(subjects[row_mask]))
