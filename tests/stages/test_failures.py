from pathlib import Path

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.storage.failures import read_failures
from mri_stages.storage.predictions import Predictions, write_predictions
from stages import failures
from tests.helpers.flat_rows import CLASSES, LABELS, N_TRAIN, SUBJECTS, write_flat_rows
from tests.helpers.params import change_params


@pytest.fixture(autouse=True)
def flat(workspace: Path) -> None:
    write_flat_rows(workspace)
    info = paths.INFO.read_text().replace('"counts": {}', '"counts": {"train": [40]}')
    paths.INFO.write_text(info)
    write_folds(wrong_subjects=[3, 12])


def write_folds(wrong_subjects: list[int]) -> None:
    answers = np.where(np.isin(SUBJECTS, wrong_subjects), (LABELS + 1) % 3, LABELS)
    probabilities = np.full((60, 3), 0.125, np.float32)
    probabilities[np.arange(60), answers] = 0.75
    predictions = Predictions(np.arange(60), SUBJECTS, LABELS, probabilities, SUBJECTS % 2)
    write_predictions(paths.folds("small"), predictions, CLASSES)


def test_failures_name_subject_answer_and_row() -> None:
    failures.main()
    first, second = read_failures()
    assert (first.subject, first.actual, first.answer) == (3, "Ill", "Sane")
    assert (second.subject, second.actual, second.answer) == (12, "Sane", "Unsure")
    assert first.probability == 0.75
    assert SUBJECTS[first.row] == 3
    assert first.file == f"train row {first.row}"


def test_failures_name_their_files() -> None:
    lines = ["row,split,class,subject,file"]
    for row in range(N_TRAIN):
        lines.append(f"{row},train,Ill,0,scan{row}.png")
    paths.FILE_TABLE.write_text("\n".join(lines) + "\n")
    failures.main()
    first = read_failures()[0]
    assert first.file == f"scan{first.row}.png"


def test_failures_against_a_negative_class_leave_out_its_other_side() -> None:
    """Subject 12 is Sane and called Unsure; of 3, Sane is the wrong side."""
    change_params(Path(), {"evaluation.negative_class": "Sane"})
    failures.main()
    assert [failure.answer for failure in read_failures()] == ["not Sane", "Sane"]


def test_failures_repeat_their_bytes() -> None:
    failures.main()
    first = paths.FAILURES_FIGURE.read_bytes()
    failures.main()
    assert paths.FAILURES_FIGURE.read_bytes() == first


def test_failures_without_a_wrong_answer_write_both_files() -> None:
    write_folds(wrong_subjects=[])
    failures.main()
    assert read_failures() == []
    assert paths.FAILURES_FIGURE.exists()


def test_failures_of_a_model_without_a_result_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths.folds("small").unlink()
    failures.main()
    assert "small has no result" in capsys.readouterr().out
    assert read_failures() == []
