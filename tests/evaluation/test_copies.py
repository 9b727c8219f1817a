import numpy as np

from mri_stages.evaluation.copies import find_equal_rows, list_notes, list_warnings
from mri_stages.storage.copies import Copies
from mri_stages.storage.dataset import AllRows

PART = np.zeros((3, 1), np.uint8)  # rows 0 to 2 are train, 3 to 5 are test
LABELS = np.array([0, 1, 1, 0, 0, 1])
COPIES = Copies(np.array([0, 1, 1, 0, 1, 5]), np.zeros(6, np.bool_))  # 2 of 1, 3 of 0, 4 of 1
NAMES = {("train", 0): "a.png", ("test", 0): "b.png"}


def warn(labels: np.ndarray = LABELS, subjects: np.ndarray | None = None) -> list[str]:
    rows = AllRows([PART, PART], labels, subjects)
    return list_warnings(find_equal_rows(rows, COPIES), rows, NAMES)


def test_copies_over_train_and_test_are_counted_and_named() -> None:
    assert warn()[0].startswith("Certain leakage: 2 of 3 test rows ")
    assert "(such as a.png and b.png)" in warn()[0]


def test_copies_of_two_classes_are_counted_and_named() -> None:
    assert len(warn()) == 2
    assert warn()[1].startswith("1 image is in rows of two classes")
    assert "(such as train row 1 and test row 1)" in warn()[1]


def test_copies_of_one_class_are_no_conflict() -> None:
    assert len(warn(labels=np.zeros(6, np.int64))) == 1


def test_copies_of_two_subjects_are_counted() -> None:
    subjects = np.array([4, 5, 5, 4, 6, 7])
    assert "1 image is in rows of two subjects" in warn(subjects=subjects)[2]


def test_copies_of_one_subject_are_no_conflict() -> None:
    assert len(warn(subjects=np.array([4, 5, 5, 4, 5, 7]))) == 2


def test_copies_within_a_split_are_counted() -> None:
    (note,) = list_notes(AllRows([PART, PART], LABELS, None), COPIES)
    assert note.endswith(": 1")


def test_constant_rows_are_counted() -> None:
    copies = Copies(np.arange(6), np.array([True, False, False, True, False, False]))
    rows = AllRows([PART, PART], LABELS, None)
    assert list_warnings(find_equal_rows(rows, copies), rows, NAMES) == []
    (note,) = list_notes(rows, copies)
    assert note.startswith("2 rows have one value")
