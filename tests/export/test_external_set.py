"""An external set: its rows in order, and how far its pixels may be from those of training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mri_stages.errors import InputError
from mri_stages.export.external_set import (
    MAX_UNIT_EXCESS,
    ExternalSet,
    check_pixels,
    list_scale_warnings,
    match_labels,
)
from mri_stages.export.row_set import SetFigures
from mri_stages.ingest.checks import MAX_RANGE_RATIO
from mri_stages.preprocessing.scaler import MAX_MEAN_SHIFT, MAX_STD_RATIO


def make_set(dtype: torch.dtype = torch.float32) -> ExternalSet:
    """Return three rows of train and two of test; all pixels of a row are its position."""
    pixels = torch.arange(5).reshape(5, 1, 1, 1).expand(5, 1, 2, 2).to(dtype)
    return ExternalSet(
        folder=Path("raw"),
        images={"train": pixels[:3], "test": pixels[3:]},
        indices={"train": np.arange(3), "test": np.arange(2)},
        labels=np.array([0, 1, 0, 1, 1]),
        subjects=np.array([7, 7, 8, 9, 9]),
        files={("train", 2): "a.png", ("test", 1): "b.png"},
        notes=[],
    )


def make_figures(**changes: Any) -> SetFigures:
    """Return the figures of pixels from 0 to 1, with mean 0 and deviation 1."""
    values = {"rows": 5, "class_counts": {}, "darkest": 0, "brightest": 1, "mean": 0}
    return SetFigures.model_validate({**values, "deviation": 1, **changes})


def test_select_takes_rows_of_train_and_test() -> None:
    selected = make_set().select(np.array([True, False, True, False, True]))
    assert selected.labels.tolist() == [0, 0, 1]
    assert selected.subjects is not None
    assert selected.subjects.tolist() == [7, 8, 9]
    chunks = [chunk[:, 0, 0, 0] for chunk in selected.iterate_chunks("test")]
    assert np.concatenate(chunks).tolist() == [0, 2, 4]


def test_select_keeps_unknown_subjects_unknown() -> None:
    external = make_set()._replace(subjects=None)
    assert external.select(np.ones(5, np.bool_)).subjects is None


@pytest.mark.parametrize(
    ("position", "name"),
    [(0, "train row 0"), (1, "train row 2 (a.png)"), (2, "test row 1 (b.png)")],
)
def test_name_row_is_that_of_the_whole_folder(position: int, name: str) -> None:
    selected = make_set().select(np.array([True, False, True, False, True]))
    assert selected.name_row(position) == name


def test_match_labels_are_those_of_the_model() -> None:
    labels = match_labels(Path("raw"), np.array([0, 1, 0]), ["b", "c", "x"], ["a", "b", "c"])
    assert labels.tolist() == [1, 2, 1]


def test_match_labels_names_an_unknown_class() -> None:
    with pytest.raises(InputError, match="does not know the class x, expected classes among a, b"):
        match_labels(Path("raw"), np.array([0, 1]), ["b", "x"], ["a", "b"])


ONE_HUNDREDTH = 1 / MAX_RANGE_RATIO


@pytest.mark.parametrize(
    "values",
    [
        {"darkest": -MAX_UNIT_EXCESS, "brightest": 1 + MAX_UNIT_EXCESS},
        {"brightest": ONE_HUNDREDTH},
        {"darkest": 0.5, "brightest": 0.5},
    ],
)
def test_check_pixels_at_its_limits(values: dict[str, float]) -> None:
    check_pixels(make_set(), make_figures(**values), make_figures())


@pytest.mark.parametrize(
    "values",
    [
        {"darkest": -MAX_UNIT_EXCESS - 0.001},
        {"brightest": 1 + MAX_UNIT_EXCESS + 0.001},
        {"brightest": 0.99 * ONE_HUNDREDTH},
    ],
)
def test_check_pixels_beyond_its_limits(values: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"raw: pixels from .* 0 to 1"):
        check_pixels(make_set(), make_figures(**values), make_figures())


@pytest.mark.parametrize(("darkest", "brightest"), [(-1, 1), (0, 2)])
def test_check_pixels_of_grey_levels_after_another_scale(darkest: float, brightest: float) -> None:
    training = make_figures(darkest=darkest, brightest=brightest)
    check_pixels(make_set(), make_figures(), training)
    with pytest.raises(InputError, match="uint8"):
        check_pixels(make_set(torch.uint8), make_figures(), training)
    check_pixels(make_set(torch.uint8), make_figures(), make_figures())


@pytest.mark.parametrize(
    ("values", "is_warned"),
    [
        ({"mean": MAX_MEAN_SHIFT}, False),
        ({"mean": -MAX_MEAN_SHIFT}, False),
        ({"mean": MAX_MEAN_SHIFT + 0.01}, True),
        ({"mean": -MAX_MEAN_SHIFT - 0.01}, True),
        ({"deviation": MAX_STD_RATIO}, False),
        ({"deviation": MAX_STD_RATIO + 0.01}, True),
        ({"deviation": 1 / (MAX_STD_RATIO - 0.01)}, False),
        ({"deviation": 1 / (MAX_STD_RATIO + 0.01)}, True),
    ],
)
def test_list_scale_warnings_at_their_limits(values: dict[str, float], is_warned: bool) -> None:
    assert bool(list_scale_warnings(make_figures(**values), make_figures())) == is_warned


def test_list_scale_warnings_of_equal_pixels_on_any_scale() -> None:
    figures = make_figures(mean=9 * MAX_MEAN_SHIFT)
    assert list_scale_warnings(figures, figures) == []


def test_list_scale_warnings_count_in_training_deviations() -> None:
    training = make_figures(deviation=0.5)
    figures = make_figures(mean=0.6 * MAX_MEAN_SHIFT, deviation=0.5)
    assert list_scale_warnings(figures, training)
