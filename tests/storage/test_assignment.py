import numpy as np
import pytest

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.assignment import read_assignment, write_assignment
from mri_stages.storage.dataset import AllRows

SUBJECTS = np.array([7, -3, 7, 5])
FOLDS = [np.array([1, 0, 1, 0]), np.array([0, 1, 0, 2])]


@pytest.fixture(autouse=True)
def folder(workspace: None) -> None:
    """A folder of its own."""


def make_rows(subjects: np.ndarray | None = SUBJECTS) -> AllRows:
    return AllRows([np.empty((2, 1)), np.empty((2, 1))], np.zeros(4, np.int64), subjects)


@pytest.mark.parametrize("subjects", [SUBJECTS, None])
def test_assignment_reads_back(subjects: np.ndarray | None) -> None:
    write_assignment(FOLDS, subjects)
    np.testing.assert_array_equal(read_assignment(make_rows(subjects)), FOLDS)


def test_assignment_has_a_line_for_each_subject() -> None:
    write_assignment(FOLDS[:1], SUBJECTS)
    assert paths.ASSIGNMENT.read_text() == "repeat,subject,fold\n0,-3,0\n0,5,0\n0,7,1\n"


def test_assignment_without_folds_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    write_assignment([], SUBJECTS)
    assert paths.ASSIGNMENT.read_text() == "repeat,subject,fold\n"
    assert read_assignment(make_rows()) == []
    assert str(paths.ASSIGNMENT) in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "repeat,subject,fold\n0,7,1\n0,-3,0\n",
        "repeat,subject,fold\n0,7,1\n0,-3,0\n0,5,0\n0,6,0\n",
        "repeat,subject,fold\n0,7,2\n0,-3,0\n0,5,0\n",
        "repeat,subject,fold\n1,7,1\n1,-3,0\n1,5,0\n",
        "repeat,row,fold\n0,0,1\n",
    ],
)
def test_assignment_of_other_rows_is_refused(text: str) -> None:
    paths.ASSIGNMENT.parent.mkdir()
    paths.ASSIGNMENT.write_text(text)
    with pytest.raises(InputError, match=str(paths.ASSIGNMENT)):
        read_assignment(make_rows())
