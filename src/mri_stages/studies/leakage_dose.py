"""How much leakage inflates a score: the same test, with more and more of its subjects in training.

A random half of the rows of each test subject is the test; the other half can join the training
rows, in exchange for as many rows of other subjects: every dose trains on the same number of rows.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class LeakageRun(NamedTuple):
    """A row of studies/runs/leakage/*.csv: one training with one seed."""

    model: str
    seed: int  # of the test subjects, of the rows, of the training
    share: int  # per cent of the test subjects that also train
    permuted: bool  # whether each subject has the label of a random one: there is nothing to learn
    rows: int  # trained on
    test_rows: int
    accuracy: float  # by row
    ci_low: float  # 95 % confidence interval, see metrics/*.json
    ci_high: float
    balanced_accuracy: float
    majority: float  # accuracy of the largest class of the training rows


def divide(
    subjects: Rows, test_subjects: Rows, share: int, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Return the numbers of the rows to train on (n,) and of the test rows (m,).

    subjects: (N,) ids of all rows. share: per cent of `test_subjects` that also train.
    """
    shuffled = rng.permutation(len(subjects))
    ids = subjects[shuffled]
    test, joins = np.zeros((2, len(ids)), bool)
    leaking = rng.permutation(test_subjects)[: round(share / 100 * len(test_subjects))]
    for subject in test_subjects:
        places = np.flatnonzero(ids == subject)
        test[places[::2]] = True
        joins[places[1::2]] = subject in leaking
    others = shuffled[~np.isin(ids, test_subjects)]
    fitted = np.concatenate([others[joins.sum() :], shuffled[joins]])
    return rng.permutation(fitted), shuffled[test]


def permuted_labels(labels: Rows, subjects: Rows, rng: np.random.Generator) -> Rows:
    """Return labels (N,) in which all rows of a subject have the label of a random subject."""
    _, firsts, place = np.unique(subjects, return_index=True, return_inverse=True)
    return np.asarray(rng.permutation(labels[firsts])[place])
