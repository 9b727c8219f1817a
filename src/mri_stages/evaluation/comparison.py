"""Is one model better than another on the same test rows, or may it be chance?"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, permutation_test

from mri_stages.evaluation.confidence import Subjects, clustered
from mri_stages.storage.records import Pair

RESAMPLES = 9999
LEVEL = 0.05

Right = NDArray[np.bool_]  # (N,) rows


def compare_pairs(
    correct: Mapping[str, Right], subjects: Subjects, unit: str = "row"
) -> list[Pair]:
    """Return the test of each pair of models, from the rows (N,) that each gets right.

    The rows of a subject are right or wrong together, so the models are swapped for whole subjects.
    Without the ids of two subjects or more, McNemar's exact test (1947) takes rows as independent.
    unit: what a row is, for the verdicts.
    """
    names = list(combinations(correct, 2))
    only = [(correct[a] & ~correct[b], correct[b] & ~correct[a]) for a, b in names]
    counts = [(int(only_a.sum()), int(only_b.sum())) for only_a, only_b in only]
    if clustered(subjects):
        found = [swap_subjects(*rows, subjects) for rows in only]
    else:
        found = [binomtest(a, a + b).pvalue if a + b else 1.0 for a, b in counts]
    rows = zip(names, counts, holm(found), strict=True)
    pairs = [Pair(*pair, *count, p) for pair, count, p in rows]
    return [pair._replace(verdict=in_words(pair, unit)) for pair in pairs]


def swap_subjects(only_a: Right, only_b: Right, subjects: NDArray[np.int64]) -> float:
    """Return p: of all swaps where subjects are few, else of 9999 of them, seeded."""
    _, cluster = np.unique(subjects, return_inverse=True)
    found = permutation_test(
        (np.bincount(cluster, only_a), np.bincount(cluster, only_b)),
        lambda a, b, axis: (a - b).sum(axis),
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=1000,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Return the p values corrected for their number (Holm, Scand. J. Statist. 6 (1979) 65)."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(np.arange(len(p), 0, -1) * np.asarray(p)[order])
    return [min(float(value), 1.0) for value in corrected]


def in_words(pair: Pair, unit: str) -> str:
    """Return one sentence about a pair."""
    more = abs(pair.only_a - pair.only_b)
    if not more:
        return f"{pair.a} and {pair.b} are right on equally many {unit}s"
    better, worse = (pair.a, pair.b) if pair.only_a > pair.only_b else (pair.b, pair.a)
    found = "more than chance explains" if pair.p < LEVEL else "which may be chance"
    units = f"{more} {unit}{'s' * (more > 1)}"
    return f"{better} is right on {units} more than {worse}, {found} (p = {pair.p:.2g})"
