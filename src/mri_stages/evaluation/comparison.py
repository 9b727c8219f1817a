"""Tests of whether one model is better than another on the same rows, or by chance."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, permutation_test

from mri_stages.evaluation.confidence import Subjects, has_several_subjects
from mri_stages.evaluation.holm import PValue, correct_rows
from mri_stages.storage.records import Pair

N_RESAMPLES = 9999
LOWEST_SAMPLED_P = 2 / (1 + N_RESAMPLES)  # two-sided; all swaps are tried where they are fewer
BATCH_SIZE = 1000  # resamples in memory at a time

RowMask = NDArray[np.bool_]  # (N,) rows


def compare_pairs(correct: Mapping[str, RowMask], subjects: Subjects) -> list[Pair]:
    """Return the test of each pair of models, from the rows (N,) that each gets right.

    The rows of a subject are right or wrong together, so the models are swapped for whole subjects.
    Without the ids of two subjects or more, McNemar's exact test (1947) takes rows as independent.
    """
    pairs = []
    for a, b in combinations(correct, 2):
        only_a = correct[a] & ~correct[b]
        only_b = correct[b] & ~correct[a]
        p = compute_p_value(only_a, only_b, subjects)
        pairs.append(Pair(a, b, int(only_a.sum()), int(only_b.sum()), p.value, p.is_floor))
    return correct_rows(pairs)


def compute_p_value(only_a: RowMask, only_b: RowMask, subjects: Subjects) -> PValue:
    """Return the two-sided p of one pair, from the rows that only one of the two gets right."""
    if has_several_subjects(subjects):
        return permute_subjects(only_a, only_b, subjects)
    n_a = int(only_a.sum())
    n_b = int(only_b.sum())
    if n_a + n_b == 0:
        return PValue(1.0)
    return PValue(float(binomtest(n_a, n_a + n_b).pvalue))


def permute_subjects(only_a: RowMask, only_b: RowMask, subjects: NDArray[np.int64]) -> PValue:
    """Return p: over all swaps of the two models where subjects are few, else over a sample."""
    _, subject_of_row = np.unique(subjects, return_inverse=True)
    result = permutation_test(
        (np.bincount(subject_of_row, only_a), np.bincount(subject_of_row, only_b)),
        lambda a, b, axis: (a - b).sum(axis),
        permutation_type="samples",
        n_resamples=N_RESAMPLES,
        batch=BATCH_SIZE,
        rng=np.random.default_rng(0),
    )
    p = float(result.pvalue)
    return PValue(p, is_floor=p <= LOWEST_SAMPLED_P)
