"""Folds inside each fold of the cross-validation."""

import numpy as np
import pytest

from mri_stages.config.schema import CrossValidation
from mri_stages.errors import InputError
from mri_stages.preprocessing.nested_folds import (
    OUTER,
    assign_inner_folds,
)
from mri_stages.storage.dataset import AllRows

SUBJECTS = np.arange(72) % 24
LABELS = SUBJECTS % 2
FOLDS = SUBJECTS % 3
SHAPE = (1, 1, 2)


def make_rows(subjects: np.ndarray | None = SUBJECTS, labels: np.ndarray = LABELS) -> AllRows:
    pixels = np.stack([SUBJECTS, np.arange(72)], axis=1).astype(np.uint8)
    return AllRows([pixels[:50], pixels[50:]], labels, subjects)


def make_options(inner_folds: int) -> CrossValidation:
    return CrossValidation(
        folds=3, repeats=1, seed=0, stratify=None, inner_folds=inner_folds, models={}
    )


def test_inner_folds_part_the_training_subjects() -> None:
    ((*inner_folds,),) = assign_inner_folds(make_rows(), SHAPE, [FOLDS], make_options(2))
    for fold in range(3):
        assert (inner_folds[fold][fold == FOLDS] == OUTER).all()
        assert set(inner_folds[fold][fold != FOLDS]) == {0, 1}
        for subject in range(24):
            assert len(set(inner_folds[fold][subject == SUBJECTS])) == 1


def test_inner_folds_differ_between_repeats() -> None:
    first, second = assign_inner_folds(make_rows(), SHAPE, [FOLDS, FOLDS], make_options(2))
    assert not np.array_equal(first[0], second[0])


def test_inner_folds_depend_on_no_label_of_the_outer_fold() -> None:
    ((before, *_),) = assign_inner_folds(make_rows(), SHAPE, [FOLDS], make_options(2))
    labels = np.where(FOLDS == 0, 0, LABELS)
    ((after, *_),) = assign_inner_folds(make_rows(labels=labels), SHAPE, [FOLDS], make_options(2))
    assert np.array_equal(before, after)


def test_inner_folds_without_ids_keep_copies_together() -> None:
    rows = make_rows(subjects=None)
    for part in rows.parts:
        part[:, 1] = 0  # all rows of a subject are equal, and not black
    rows.parts[0][:, 1] = 1
    rows.parts[1][:, 1] = 1
    ((*inner_folds,),) = assign_inner_folds(rows, SHAPE, [FOLDS], make_options(2))
    for subject in range(2, 24):
        assert len(set(inner_folds[0][subject == SUBJECTS])) == 1


def test_no_inner_folds_are_empty() -> None:
    assert assign_inner_folds(make_rows(), SHAPE, [FOLDS], make_options(0)) == [[]]


def test_inner_folds_that_a_class_cannot_fill_are_refused() -> None:
    labels = (SUBJECTS < 6).astype(np.int64)  # four of them in two of three folds
    with pytest.raises(InputError, match=r"inner_folds: 5 inner folds.*at most 4"):
        assign_inner_folds(make_rows(labels=labels), SHAPE, [FOLDS], make_options(5))


def test_inner_folds_are_possible_with_a_class_of_one_subject() -> None:
    labels = np.where(SUBJECTS == 0, 2, LABELS)
    ((*inner_folds,),) = assign_inner_folds(
        make_rows(labels=labels), SHAPE, [FOLDS], make_options(3)
    )
    assert len(inner_folds) == 3
