from pathlib import Path

import numpy as np
import pytest

from mri_stages.config.schema import LeakageStudy
from mri_stages.studies.leakage_dose import (
    PERMUTED_DOSE,
    DoseSplit,
    LeakageDose,
    list_doses,
    permute_labels_of_subjects,
    split_by_dose,
)

ROWS_PER_SUBJECT = 7
SUBJECTS = np.random.default_rng(0).permutation(np.repeat(np.arange(20), ROWS_PER_SUBJECT))
TEST_SUBJECTS = np.array([2, 3, 5, 7])


def split(share: int) -> DoseSplit:
    return split_by_dose(SUBJECTS, TEST_SUBJECTS, share, np.random.default_rng(1))


@pytest.mark.parametrize("share", [0, 25, 50, 100])
def test_split_tests_half_the_rows_of_each_test_subject(share: int) -> None:
    counts = np.bincount(SUBJECTS[split(share).test_indices], minlength=20)
    assert counts[TEST_SUBJECTS].tolist() == [4] * 4  # half of 7
    assert counts.sum() == 16


@pytest.mark.parametrize("share", [25, 100])
def test_split_tests_the_same_rows_at_every_share(share: int) -> None:
    assert split(share).test_indices.tolist() == split(0).test_indices.tolist()


@pytest.mark.parametrize("share", [0, 25, 100])
def test_split_trains_on_as_many_rows_at_every_share(share: int) -> None:
    train_indices = split(share).train_indices
    assert len(set(train_indices.tolist())) == len(train_indices) == 16 * ROWS_PER_SUBJECT


@pytest.mark.parametrize("share", [0, 100])
def test_split_trains_on_no_test_row(share: int) -> None:
    train_indices, test_indices = split(share)
    assert not np.isin(train_indices, test_indices).any()


@pytest.mark.parametrize(("share", "n_leaking"), [(0, 0), (25, 1), (50, 2), (100, 4)])
def test_split_leaks_the_share_of_test_subjects(share: int, n_leaking: int) -> None:
    train_subjects = SUBJECTS[split(share).train_indices]
    is_leaking = np.isin(train_subjects, TEST_SUBJECTS)
    assert len(set(train_subjects[is_leaking].tolist())) == n_leaking
    assert is_leaking.sum() == 3 * n_leaking


def test_split_trains_in_random_order() -> None:
    is_leaking = np.isin(SUBJECTS[split(100).train_indices], TEST_SUBJECTS)
    n_changes = (is_leaking[1:] != is_leaking[:-1]).sum()
    assert n_changes > 2


LABELS = SUBJECTS % 3
PERMUTED_LABELS = permute_labels_of_subjects(LABELS, SUBJECTS, np.random.default_rng(0))


def list_subject_labels(labels: np.ndarray) -> list[set[int]]:
    return [set(labels[subject == SUBJECTS].tolist()) for subject in range(20)]


def test_permute_labels_are_equal_within_a_subject() -> None:
    assert {len(labels) for labels in list_subject_labels(PERMUTED_LABELS)} == {1}


def test_permute_labels_permutes_over_subjects() -> None:
    permuted = [label for (label,) in list_subject_labels(PERMUTED_LABELS)]
    assert sorted(permuted) == sorted(subject % 3 for subject in range(20))
    assert permuted != [subject % 3 for subject in range(20)]


def test_list_doses_ends_with_permuted_labels() -> None:
    study = LeakageStudy(seeds=[0], model="small", shares=[0, 50])
    assert list_doses(study) == [LeakageDose(0), LeakageDose(50), PERMUTED_DOSE]


def test_permuted_dose_is_of_all_test_subjects() -> None:
    assert (PERMUTED_DOSE.share, PERMUTED_DOSE.is_permuted) == (100, True)


@pytest.mark.parametrize(
    ("dose", "name"),
    [(LeakageDose(25), "25"), (LeakageDose(100), "100"), (PERMUTED_DOSE, "permuted")],
)
def test_dose_path_has_its_name(dose: LeakageDose, name: str) -> None:
    assert dose.path == Path(f"studies/runs/leakage/{name}.csv")
