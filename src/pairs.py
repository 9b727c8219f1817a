"""Is one model better than another on the same test rows, or is it luck?"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, permutation_test

from src.intervals import clustered

RESAMPLES = 9999
LEVEL = 0.05


class Pair(NamedTuple):
    a: str
    b: str
    only_a: int  # rows that a alone gets right
    only_b: int
    mcnemar: float  # p, Holm-corrected over the pairs
    by_subject: float | None  # likewise; None without subject ids, or with one subject


def compare_pairs(
    correct: Mapping[str, NDArray[np.bool_]], subjects: NDArray[np.int64] | None
) -> list[Pair]:
    """Two-sided tests of each pair of models, from the rows (N,) that each gets right.

    mcnemar: McNemar's exact test (1947; scipy.stats.binomtest) on the rows that only one of the
    two gets right; it takes rows as independent. by_subject: the paired permutation test of
    scipy.stats, which swaps the two models for all rows of a subject at once, since rows of one
    subject are right or wrong together; exact where there are few subjects, else 9999 resamples,
    seeded. Each is corrected over all pairs by Holm's method (1979). Models that agree have p = 1.
    """
    pairs = list(combinations(correct, 2))
    only = [(correct[a] & ~correct[b], correct[b] & ~correct[a]) for a, b in pairs]
    counts = [(int(of_a.sum()), int(of_b.sum())) for of_a, of_b in only]
    mcnemar = holm([binomtest(a, a + b).pvalue if a + b else 1.0 for a, b in counts])
    by_subject: Sequence[float | None] = [None] * len(pairs)
    if clustered(subjects):
        by_subject = holm([_swapped_by_subject(*rows, subjects) for rows in only])
    return [
        Pair(a, b, *count, p, q)
        for (a, b), count, p, q in zip(pairs, counts, mcnemar, by_subject, strict=True)
    ]


def _swapped_by_subject(
    only_a: NDArray[np.bool_], only_b: NDArray[np.bool_], subjects: NDArray[np.int64]
) -> float:
    _, cluster = np.unique(subjects, return_inverse=True)
    rows = np.bincount(cluster, only_a), np.bincount(cluster, only_b)
    return float(
        permutation_test(
            rows,
            lambda a, b, axis: (a - b).sum(axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=1000,
            rng=np.random.default_rng(0),
        ).pvalue
    )


def holm(p: Sequence[float]) -> list[float]:
    """The p values corrected for their number: Holm, Scand. J. Statist. 6 (1979) 65."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(np.arange(len(p), 0, -1) * np.asarray(p)[order])
    return [min(float(value), 1.0) for value in corrected]


def verdict(pair: Pair) -> str:
    """The pair in one sentence; by subject where that is known."""
    p, how = (pair.mcnemar, "") if pair.by_subject is None else (pair.by_subject, " by subject")
    better, worse = (pair.a, pair.b) if pair.only_a >= pair.only_b else (pair.b, pair.a)
    more = abs(pair.only_a - pair.only_b)
    if not more:
        return f"{pair.a} and {pair.b} are right on equally many rows"
    luck = (
        f"that is {'more than luck' if p < LEVEL else 'luck, for all one can tell'} "
        f"(p = {p:.2g}{how})"
    )
    return f"{better} is right on {more} row{'s' * (more > 1)} more than {worse}; {luck}"
