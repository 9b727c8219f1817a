import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from mri_stages.errors import InputError
from mri_stages.preprocessing.folds import assign_folds

# 30 subjects of 4 rows: 20 of class 0, 9 of class 1, a single one of class 2.
SUBJECTS = np.repeat(np.arange(30), 4)
Y = np.select([SUBJECTS < 20, SUBJECTS < 29], [0, 1], 2)


def test_fold_of_rows_by_subject_is_stratified_and_keeps_subjects_together() -> None:
    fold = assign_folds(Y, SUBJECTS, 5, seed=0)
    for subject in range(30):
        assert len(np.unique(fold[subject == SUBJECTS])) == 1
    assert np.bincount(fold[Y == 0]).tolist() == [16] * 5
    assert set(np.bincount(fold[Y == 1])) <= {4, 8}
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=1)
    other = assign_folds(Y, SUBJECTS, 5, seed=1)
    with pytest.warns(UserWarning, match="least populated"):
        tests = [test.tolist() for _, test in folds.split(Y, Y, SUBJECTS)]
    assert tests == [np.flatnonzero(other == number).tolist() for number in range(5)]
    assert (fold != other).any()


def test_fold_of_rows_at_random_is_stratified_and_splits_subjects() -> None:
    fold = assign_folds(Y, None, 4, seed=0)
    assert np.bincount(fold[Y == 0]).tolist() == [20] * 4
    assert np.bincount(fold[Y == 2]).tolist() == [1] * 4
    assert len(np.unique(fold[SUBJECTS == 0])) > 1


@pytest.mark.parametrize(("subjects", "most"), [(SUBJECTS, 30), (None, 80)])
def test_fold_of_rows_up_to_the_most_folds(subjects: np.ndarray | None, most: int) -> None:
    # At most as many as subjects, or as rows of the largest class.
    assert set(assign_folds(Y, subjects, most, seed=0)) == set(range(most))
    with pytest.raises(InputError, match=rf"(?=.*cross_validation\.folds).*\b{most}\b"):
        assign_folds(Y, subjects, most + 1, seed=0)
    few = np.repeat([0, 1, 2, 3], [3, 1, 6, 2])  # of which scikit-learn leaves a fold empty
    with pytest.raises(InputError, match=r"cross_validation\.folds"):
        assign_folds(np.isin(few, [0, 2]).astype(int), few, 4, seed=0)


def test_fold_of_rows_that_leaves_one_class_to_train_on_is_an_error() -> None:
    with pytest.raises(InputError, match=r"cross_validation\.folds"):
        assign_folds(np.array([0, 0, 0, 0, 1]), np.array([0, 1, 2, 3, 4]), 2, seed=0)


def test_fold_of_rows_without_a_class_in_two_folds_names_its_source() -> None:
    y = np.repeat([0, 1, 2, 3], 3)  # each class is one subject
    with pytest.raises(InputError, match="a study"):
        assign_folds(y, y, 2, 0, "a study")
