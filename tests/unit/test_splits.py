import numpy as np
import pytest

from src.cli import InputError
from src.splits import Absent, absent_classes, fold_of_rows

# 30 subjects of 4 rows: 20 of class 0, 9 of class 1, a single one of class 2.
SUBJECTS = np.repeat(np.arange(30), 4)
Y = np.select([SUBJECTS < 20, SUBJECTS < 29], [0, 1], 2)


def test_folds_by_subject_keep_each_subject_together_and_the_classes_mixed() -> None:
    fold = fold_of_rows(Y, SUBJECTS, 5, seed=0)
    for subject in range(30):
        assert len(np.unique(fold[subject == SUBJECTS])) == 1
    assert np.bincount(fold[Y == 0]).tolist() == [16] * 5
    assert set(np.bincount(fold[Y == 1])) <= {4, 8}
    assert (fold == fold_of_rows(Y, SUBJECTS, 5, seed=0)).all()
    assert (fold != fold_of_rows(Y, SUBJECTS, 5, seed=1)).any()


def test_random_folds_split_subjects_and_keep_the_shares_of_the_classes() -> None:
    fold = fold_of_rows(Y, None, 4, seed=0)
    assert np.bincount(fold[Y == 0]).tolist() == [20] * 4
    assert np.bincount(fold[Y == 2]).tolist() == [1] * 4
    assert len(np.unique(fold[SUBJECTS == 0])) > 1


def test_a_class_that_folds_lack_is_named_with_those_folds() -> None:
    fold = fold_of_rows(Y, SUBJECTS, 5, seed=0)
    (home,) = np.unique(fold[Y == 2])
    assert absent_classes(Y, fold, ["a", "b", "c"]) == {
        "c": Absent(test=[k for k in range(5) if k != home], train=[home])
    }


@pytest.mark.parametrize(
    ("subjects", "n_folds", "fragment"),
    [(SUBJECTS, 31, "at most 30: the subjects"), (None, 81, "at most 80: the rows of the largest")],
)
def test_more_folds_than_can_be_filled(
    subjects: np.ndarray | None, n_folds: int, fragment: str
) -> None:
    with pytest.raises(InputError, match=f"data.folds is {n_folds}, expected {fragment}"):
        fold_of_rows(Y, subjects, n_folds, seed=0)
