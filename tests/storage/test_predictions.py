from pathlib import Path

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.predictions import (
    Predictions,
    average_by_subject,
    join_repeats,
    read_new_subject_predictions,
    read_predictions,
    select_predictions,
    split_repeats,
    write_predictions,
)

CLASSES = ["no, none", "y"]  # a comma, as in any CSV
FOUND = Predictions(
    np.array([4, 2, 9]),
    np.array([1, 0, 1]),
    np.array([1, 0, 1]),
    np.array([[1 / 3, 2 / 3], [np.nan, np.nan], [1e-9, 1]], np.float32),
    np.array([0, 1, 0]),
    repeats=np.array([0, 0, 1]),
)


@pytest.mark.parametrize(
    "found", [FOUND, FOUND._replace(subjects=None), FOUND._replace(folds=None, repeats=None)]
)
def test_predictions_are_read_back_exactly(tmp_path: Path, found: Predictions) -> None:
    path = tmp_path / "p.csv"
    write_predictions(path, found, CLASSES)
    header = ["row", "subject", "actual", '"p_no', ' none"', "p_y"]
    assert path.read_text().splitlines()[0].split(",")[:6] == header
    for name, ours, back in zip(
        Predictions._fields, found, read_predictions(path, CLASSES), strict=True
    ):
        np.testing.assert_equal(back, ours, err_msg=name)
        assert getattr(back, "dtype", None) == getattr(ours, "dtype", None)


def test_predictions_of_a_single_row_are_read(tmp_path: Path) -> None:
    single = select_predictions(FOUND, np.arange(3) == 1)
    write_predictions(tmp_path / "p.csv", single, CLASSES)
    assert read_predictions(tmp_path / "p.csv", CLASSES).rows.tolist() == [2]


def test_predictions_of_other_classes_name_the_file(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", FOUND, CLASSES)
    for classes in (["y", "n"], ["no, none", "y", "z"]):
        with pytest.raises(InputError, match=r"p\.csv"):
            read_predictions(tmp_path / "p.csv", classes)


def test_predictions_count_nan_as_class_0() -> None:
    assert FOUND.predicted.tolist() == [1, 0, 1]
    assert FOUND.correct.tolist() == [True, True, True]


def test_predicted_is_the_class_of_a_row() -> None:
    predictions = Predictions(
        rows=np.arange(3),
        subjects=None,
        labels=np.array([1, 0, 1]),
        probabilities=np.array([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]], np.float32),
    )
    assert predictions.predicted.tolist() == [1, 0, 0]
    assert predictions.correct.tolist() == [True, True, False]


def test_average_by_subject_is_the_mean_of_its_rows() -> None:
    predictions = Predictions(
        rows=np.arange(4),
        subjects=np.array([7, 5, 7, 5]),
        labels=np.array([1, 0, 1, 0]),
        probabilities=np.array([[0.5, 0.5], [1, 0], [0, 1], [0.5, 0.5]], np.float32),
        folds=np.array([1, 0, 1, 0]),
    )
    means = average_by_subject(predictions)
    assert means.probabilities.tolist() == [[0.75, 0.25], [0.25, 0.75]]
    np.testing.assert_equal(means.subjects, [5, 7])
    np.testing.assert_equal(means.labels, [0, 1])
    np.testing.assert_equal(means.folds, [0, 1])


REPEAT = FOUND._replace(subjects=None, repeats=None)


def test_predictions_on_folds_without_repeats_are_of_repeat_0(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", REPEAT, CLASSES)
    repeats = read_predictions(tmp_path / "p.csv", CLASSES).repeats
    np.testing.assert_equal(repeats, [0, 0, 0])


def test_joined_repeats_are_split_again() -> None:
    joined = join_repeats([REPEAT, REPEAT._replace(folds=np.array([1, 1, 0]))])
    np.testing.assert_equal(joined.repeats, [0, 0, 0, 1, 1, 1])
    assert joined.subjects is None
    first, second = split_repeats(joined)
    np.testing.assert_equal(first.folds, REPEAT.folds)
    np.testing.assert_equal(second.folds, [1, 1, 0])
    np.testing.assert_equal(second.probabilities, REPEAT.probabilities)


def test_split_repeats_of_the_given_split_is_one() -> None:
    assert split_repeats(REPEAT) == [REPEAT]


def test_split_repeats_takes_rows_in_any_order() -> None:
    mixed = FOUND._replace(repeats=np.array([1, 0, 1]))
    assert [part.rows.tolist() for part in split_repeats(mixed)] == [[2], [4, 9]]


def test_new_subject_predictions_of_models_that_have_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_predictions(paths.folds("good"), FOUND, CLASSES)
    empty = select_predictions(FOUND, np.zeros(3, np.bool_))  # where no folds are possible
    write_predictions(paths.folds("empty"), empty, CLASSES)
    predictions = read_new_subject_predictions(["failed", "empty", "good"], CLASSES)
    assert list(predictions) == ["good"]
    (line,) = capsys.readouterr().out.splitlines()
    assert "failed" in line


def test_average_by_subject_refuses_several_repeats() -> None:
    with pytest.raises(ValueError, match="repeats"):
        average_by_subject(FOUND)
