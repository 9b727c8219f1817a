import numpy as np
import pytest

from mri_stages.studies.leakage_dose import divide, permuted_labels

SUBJECTS = np.random.default_rng(0).permutation(np.repeat(np.arange(20), 7))
TEST_SUBJECTS = np.array([2, 3, 5, 7])


@pytest.mark.parametrize(("share", "n_leaking"), [(0, 0), (25, 1), (50, 2), (100, 4)])
def test_divide_changes_only_who_of_the_test_subjects_also_trains(
    share: int, n_leaking: int
) -> None:
    fitted, test = divide(SUBJECTS, TEST_SUBJECTS, share, np.random.default_rng(1))
    _, same_test = divide(SUBJECTS, TEST_SUBJECTS, 0, np.random.default_rng(1))
    assert test.tolist() == same_test.tolist()
    assert np.bincount(SUBJECTS[test])[TEST_SUBJECTS].tolist() == [4] * 4  # half of 7
    assert len({*fitted.tolist()}) == len(fitted) == 16 * 7
    assert not {*fitted.tolist()} & {*test.tolist()}
    leaking = {*SUBJECTS[fitted].tolist()} & {*TEST_SUBJECTS.tolist()}
    assert len(leaking) == n_leaking
    assert np.isin(SUBJECTS[fitted], TEST_SUBJECTS).sum() == 3 * n_leaking


def test_permuted_labels_are_equal_within_a_subject_and_a_permutation_over_subjects() -> None:
    labels = SUBJECTS % 3
    found = permuted_labels(labels, SUBJECTS, np.random.default_rng(0))
    of_subjects = [set(found[subject == SUBJECTS].tolist()) for subject in range(20)]
    assert all(len(of_subject) == 1 for of_subject in of_subjects)
    counts = np.bincount([label for of_subject in of_subjects for label in of_subject])
    assert counts.tolist() == np.bincount(np.arange(20) % 3).tolist()
    assert (found != labels).any()
