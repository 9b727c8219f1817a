"""The leakage study: the same test rows, with more and more of their subjects in training.

A dose is the share of the test subjects that also train. A random half of the rows of each test
subject is the test. The other half can join the training rows, in exchange for as many rows of
other subjects: every dose trains on the same number of rows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.config.schema import LeakageStudy

PERMUTED = "permuted"  # the value of the dose with permuted labels

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class LeakageDose:
    """One value of the leakage study: one stage trains it with every seed."""

    share: int  # per cent of the test subjects that also train
    is_permuted: bool = False  # whether each subject has the label of a random one

    @property
    def name(self) -> str:
        return PERMUTED if self.is_permuted else str(self.share)

    @property
    def path(self) -> Path:
        return paths.study_runs("leakage", self.name)


PERMUTED_DOSE = LeakageDose(share=100, is_permuted=True)


def list_doses(study: LeakageStudy) -> list[LeakageDose]:
    """Return the doses of params.yaml, and the one with permuted labels."""
    return [*map(LeakageDose, study.shares), PERMUTED_DOSE]


class DoseSplit(NamedTuple):
    train_indices: Integers  # (n,)
    test_indices: Integers  # (m,)


def split_by_dose(
    subjects: Integers, test_subjects: Integers, share: int, rng: np.random.Generator
) -> DoseSplit:
    """Return the rows to train on and the test rows, both in random order.

    subjects: (N,) ids of all rows. share: per cent of `test_subjects` that also train. The same
    state of `rng` gives every share the same test rows.
    """
    shuffled = rng.permutation(len(subjects))
    shuffled_subjects = subjects[shuffled]
    n_leaking = round(share / 100 * len(test_subjects))
    leaking_subjects = rng.permutation(test_subjects)[:n_leaking]

    # Every second row of a test subject is a test row, the rest can join the training.
    test_mask = np.zeros(len(subjects), bool)
    joining_mask = np.zeros(len(subjects), bool)
    for subject in test_subjects:
        places = np.flatnonzero(shuffled_subjects == subject)
        test_mask[places[::2]] = True
        joining_mask[places[1::2]] = subject in leaking_subjects

    # Rows of the remaining subjects make room for those that join.
    remaining = shuffled[~np.isin(shuffled_subjects, test_subjects)]
    train_indices = np.concatenate([remaining[joining_mask.sum() :], shuffled[joining_mask]])
    return DoseSplit(rng.permutation(train_indices), shuffled[test_mask])


def permute_labels_of_subjects(
    labels: Integers, subjects: Integers, rng: np.random.Generator
) -> Integers:
    """Return labels (N,) in which all rows of a subject have the label of a random subject."""
    _, first_rows, subject_numbers = np.unique(subjects, return_index=True, return_inverse=True)
    subject_labels = rng.permutation(labels[first_rows])
    return np.asarray(subject_labels[subject_numbers])
