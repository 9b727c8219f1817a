"""Predictions by inner folds read back as they were written."""

from pathlib import Path

import numpy as np
import pytest

from mri_stages.errors import InputError
from mri_stages.storage.inner_predictions import (
    InnerPredictions,
    OuterFold,
    read_inner_predictions,
    write_inner_predictions,
)
from mri_stages.storage.predictions import Predictions

CLASSES = ["a", "b"]


def draw_inner(subjects: bool) -> InnerPredictions:
    """Return predictions of rows 2 to 6 or 0 to 4 in each of two folds of two repeats."""
    rng = np.random.default_rng(0)
    inner = {}
    for place in (OuterFold(0, 0), OuterFold(0, 1), OuterFold(1, 0), OuterFold(1, 1)):
        rows = np.arange(5) + 2 * (place.fold == 0)
        p = rng.random(5, np.float32)
        inner[place] = Predictions(
            rows=rows,
            subjects=rows // 2 if subjects else None,
            labels=rows % 2,
            probabilities=np.stack([1 - p, p], axis=1),
            folds=rng.integers(0, 3, 5),
        )
    return inner


@pytest.mark.parametrize("subjects", [True, False])
def test_inner_predictions_read_back(tmp_path: Path, subjects: bool) -> None:
    inner = draw_inner(subjects)
    write_inner_predictions(tmp_path / "m.csv", inner, CLASSES)
    again = read_inner_predictions(tmp_path / "m.csv", CLASSES)
    assert list(again) == list(inner)
    for place, predictions in inner.items():
        for column in ("rows", "subjects", "labels", "probabilities", "folds"):
            expected = getattr(predictions, column)
            np.testing.assert_array_equal(getattr(again[place], column), expected, column)


def test_inner_predictions_without_folds_are_none(tmp_path: Path) -> None:
    write_inner_predictions(tmp_path / "m.csv", {}, CLASSES)
    header = "repeat,fold,inner_fold,row,subject,actual,p_a,p_b\n"
    assert (tmp_path / "m.csv").read_text() == header
    assert read_inner_predictions(tmp_path / "m.csv", CLASSES) == {}


def test_inner_predictions_of_other_classes_are_named(tmp_path: Path) -> None:
    write_inner_predictions(tmp_path / "m.csv", draw_inner(True), CLASSES)
    with pytest.raises(InputError, match=r"m\.csv: not predictions of a, c"):
        read_inner_predictions(tmp_path / "m.csv", ["a", "c"])
