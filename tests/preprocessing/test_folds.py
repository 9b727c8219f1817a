"""Folds are stratified and keep subjects together, or an error says why there are none."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from mri_stages.config.schema import CrossValidation
from mri_stages.errors import InputError
from mri_stages.preprocessing.folds import (
    CONFIG_KEY,
    NoFoldsError,
    are_folds_possible,
    assign_folds,
    assign_folds_by_seed,
    assign_folds_of_repeats,
    check_folds,
    check_stratum_sizes,
    derive_seed,
)
from mri_stages.storage.dataset import AllRows

# 30 subjects of 4 rows: 20 of class 0, 9 of class 1, a single one of class 2.
SUBJECTS = np.repeat(np.arange(30), 4)
Y = np.select([SUBJECTS < 20, SUBJECTS < 29], [0, 1], 2)


def test_folds_keep_subjects_together() -> None:
    folds = assign_folds(Y, SUBJECTS, 5, seed=0)
    for subject in range(30):
        assert len(np.unique(folds[subject == SUBJECTS])) == 1


def test_folds_by_subject_are_stratified() -> None:
    folds = assign_folds(Y, SUBJECTS, 5, seed=0)
    assert np.bincount(folds[Y == 0]).tolist() == [16] * 5
    assert set(np.bincount(folds[Y == 1])) <= {4, 8}


def test_folds_depend_on_the_seed() -> None:
    assert (assign_folds(Y, SUBJECTS, 5, seed=0) != assign_folds(Y, SUBJECTS, 5, seed=1)).any()


@pytest.mark.parametrize("subjects", [SUBJECTS, None])
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_folds_are_scikit_learns(subjects: np.ndarray | None) -> None:
    kind = StratifiedKFold if subjects is None else StratifiedGroupKFold
    splitter = kind(5, shuffle=True, random_state=1)
    folds = assign_folds(Y, subjects, 5, seed=1)
    for fold, (_, test) in enumerate(splitter.split(Y, Y, subjects)):
        assert test.tolist() == np.flatnonzero(folds == fold).tolist()


def test_folds_by_row_are_stratified() -> None:
    folds = assign_folds(Y, None, 4, seed=0)
    assert np.bincount(folds[Y == 0]).tolist() == [20] * 4
    assert np.bincount(folds[Y == 2]).tolist() == [1] * 4


def test_folds_by_row_split_subjects() -> None:
    folds = assign_folds(Y, None, 4, seed=0)
    assert len(np.unique(folds[SUBJECTS == 0])) > 1


# The subjects, and the rows of the largest class.
@pytest.mark.parametrize(("subjects", "max_folds"), [(SUBJECTS, 30), (None, 80)])
def test_folds_may_be_as_many_as_units(subjects: np.ndarray | None, max_folds: int) -> None:
    assert set(assign_folds(Y, subjects, max_folds, seed=0)) == set(range(max_folds))


@pytest.mark.parametrize(("subjects", "max_folds"), [(SUBJECTS, 30), (None, 80)])
def test_folds_beyond_the_units_are_an_error(subjects: np.ndarray | None, max_folds: int) -> None:
    with pytest.raises(InputError, match=rf"cross_validation\.folds.* at most {max_folds}\b"):
        assign_folds(Y, subjects, max_folds + 1, seed=0)


def test_folds_are_limited_by_rows_of_a_class_too() -> None:
    y = np.array([0, 0, 1, 1, 2, 2])
    with pytest.raises(InputError, match=r"at most 2\b.*largest class"):
        assign_folds(y, np.arange(6), 3, seed=0)


def test_folds_without_rows_are_an_error() -> None:
    subjects = np.repeat([0, 1, 2, 3], [3, 1, 6, 2])  # scikit-learn leaves a fold empty
    y = np.isin(subjects, [0, 2]).astype(int)
    with pytest.raises(InputError, match=r"cross_validation\.folds"):
        assign_folds(y, subjects, 4, seed=0)


@pytest.mark.parametrize(("n_folds", "advice"), [(2, "more folds"), (3, "fewer folds")])
def test_folds_that_train_on_one_class_are_an_error(n_folds: int, advice: str) -> None:
    labels = np.array([0, 0, 1, 1])
    folds = np.array([0, 0, n_folds - 1, n_folds - 1])
    with pytest.raises(InputError, match=rf"cross_validation\.folds.*one class.*{advice}"):
        check_folds(labels, folds, n_folds, CONFIG_KEY)


# One subject; each class is of one subject; without subject 1, one class is left.
@pytest.mark.parametrize(
    ("labels", "subjects", "reason"),
    [
        ([0, 0, 1, 1], [5, 5, 5, 5], "all rows are of one subject"),
        ([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], "no class has rows of two subjects"),
        ([0, 0, 0, 0, 1], [0, 1, 2, 3, 4], "without one subject"),
        ([0, 0, 1, 1, 0], [0, 1, 1, 1, 2], "without one subject"),
        ([0, 0, 0, 0, 1], None, "without one image"),
    ],
)
@pytest.mark.parametrize("n_folds", [2, 5])
def test_folds_of_no_number_say_why(
    labels: list[int], subjects: list[int] | None, reason: str, n_folds: int
) -> None:
    ids = None if subjects is None else np.array(subjects)
    with pytest.raises(NoFoldsError, match=rf"a study: .*{reason}"):
        assign_folds(np.array(labels), ids, n_folds, 0, "a study")
    assert not are_folds_possible(np.array(labels), ids)


def test_folds_of_few_subjects_are_possible() -> None:
    """A fold per subject works wherever no NoFoldsError is raised."""
    labels = np.array([0, 1, 1, 0, 2])
    subjects = np.array([0, 0, 1, 1, 2])
    assert are_folds_possible(labels, subjects)
    assert sorted(assign_folds(labels, subjects, 2, seed=0)) != [0, 0, 0, 0, 0]


def make_rows(copied_from: list[int]) -> AllRows:
    """Return a row for each index of a random image; the first 8 are train."""
    images = np.random.default_rng(0).integers(0, 256, (20, 6), np.uint8)
    pixels = images[copied_from]
    return AllRows([pixels[:8], pixels[8:]], np.arange(len(pixels)) % 2, None)


SHAPE = (1, 2, 3)


def test_folds_by_row_keep_copies_together() -> None:
    rows = make_rows([*range(12), *range(8)])
    (folds,) = assign_folds_by_seed(rows, SHAPE, 3, seeds=[0])
    np.testing.assert_array_equal(folds[12:], folds[:8])


def test_folds_by_row_without_copies_do_not_compare_rows() -> None:
    rows = make_rows([*range(20)])
    (folds,) = assign_folds_by_seed(rows, SHAPE, 3, seeds=[0])
    np.testing.assert_array_equal(folds, assign_folds(rows.labels, None, 3, seed=0))


def test_folds_by_subject_do_not_compare_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = make_rows([*range(10)] * 2)._replace(subjects=np.arange(20))
    (folds,) = assign_folds_by_seed(rows, SHAPE, 3, seeds=[0])
    np.testing.assert_array_equal(folds, assign_folds(rows.labels, rows.subjects, 3, seed=0))
    assert capsys.readouterr().out == ""


def test_folds_of_copies_of_one_image_are_impossible(capsys: pytest.CaptureFixture[str]) -> None:
    assert assign_folds_by_seed(make_rows([0] * 20), SHAPE, 3, seeds=[0]) == []
    assert "all rows are of one image" in capsys.readouterr().out


def test_folds_of_repeats_begin_with_those_of_the_seed() -> None:
    rows = make_rows([*range(20)])
    options = CrossValidation(folds=3, repeats=3, seed=5, stratify=None, inner_folds=0, models={})
    folds_of_repeats = assign_folds_of_repeats(rows, SHAPE, options)
    seeds = [5, derive_seed(5, 1), derive_seed(5, 2)]
    for folds, seed in zip(folds_of_repeats, seeds, strict=True):
        np.testing.assert_array_equal(folds, assign_folds(rows.labels, None, 3, seed=seed))


def test_derived_seeds_differ() -> None:
    seeds = {derive_seed(seed, repeat) for seed in range(20) for repeat in range(20)}
    assert len(seeds) == 400
    assert min(seeds) >= 0
    assert max(seeds) < 2**32


def test_derived_seed_of_the_first_repeat_is_the_seed() -> None:
    assert derive_seed(2**32 - 1, 0) == 2**32 - 1


def test_stratum_of_a_subject_for_each_fold_is_enough() -> None:
    strata = np.array([0, 0, 0, 1])
    subjects = np.arange(4)
    check_stratum_sizes(strata, subjects, 3, "params.yaml")
    with pytest.raises(InputError):
        check_stratum_sizes(strata, subjects, 4, "params.yaml")
