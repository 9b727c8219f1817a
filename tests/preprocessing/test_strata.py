"""Folds keep the shares of columns within each class, or a line says why they cannot."""

from pathlib import Path

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.preprocessing.strata import describe_small_strata, number_strata, read_strata

# 60 subjects of two rows: 40 of class 0, and a third of each class is F.
SUBJECTS = np.repeat(np.arange(60), 2)
LABELS = (SUBJECTS >= 40).astype(np.int64)
FEMALE_MASK = SUBJECTS % 3 == 0


@pytest.fixture(autouse=True)
def table(workspace: Path) -> None:
    lines = ["subject,sex,age,site,visits,spelling"]
    for subject in range(60):
        sex = "F" if subject % 3 == 0 else " M "
        site = "" if subject == 8 else "Bern"
        spelling = ("1", "1.0", "2")[subject % 3]
        lines.append(f"{subject},{sex},{50 + subject % 30},{site},2,{spelling}")
    paths.DETAILS.mkdir(parents=True)
    paths.SUBJECT_TABLE.write_text("\n".join(lines) + "\n")


def read_error(*columns: str, subjects: np.ndarray | None = SUBJECTS) -> str:
    with pytest.raises(InputError) as caught:
        read_strata(columns, LABELS, subjects)
    message = str(caught.value)
    assert "\n" not in message
    assert "cross_validation.stratify" in message
    return message


def count_strata(folds: np.ndarray) -> np.ndarray:
    """Return the rows of each fold (F, 4) by class and sex."""
    counts = np.zeros((5, 4), np.int64)
    np.add.at(counts, (folds, 2 * LABELS + FEMALE_MASK), 1)
    return counts


def test_strata_are_class_with_value() -> None:
    strata = read_strata(["sex"], LABELS, SUBJECTS)
    expected = 2 * LABELS + ~FEMALE_MASK
    assert strata.tolist() == expected.tolist()


def test_strata_of_two_columns_differ_where_one_does() -> None:
    strata = number_strata(np.array([0, 0, 0, 1]), {"a": [*"xxyy"], "b": [*"xyyy"]})
    assert strata.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_folds_keep_the_shares_of_strata(seed: int) -> None:
    strata = read_strata(["sex"], LABELS, SUBJECTS)
    counts = count_strata(assign_folds(LABELS, SUBJECTS, 5, seed, strata=strata))
    spread = counts.max(0) - counts.min(0)
    assert spread.max() <= 2  # a subject, since each has two rows


def test_folds_without_strata_do_not_keep_their_shares() -> None:
    counts = count_strata(assign_folds(LABELS, SUBJECTS, 5, seed=0))
    assert (counts.max(0) - counts.min(0)).max() > 2


def test_folds_by_strata_keep_subjects_together() -> None:
    strata = read_strata(["sex"], LABELS, SUBJECTS)
    folds = assign_folds(LABELS, SUBJECTS, 5, seed=0, strata=strata)
    np.testing.assert_array_equal(folds[::2], folds[1::2])


def test_strata_of_an_unknown_column_name_those_that_exist() -> None:
    assert "sex, age, site, visits" in read_error("Sex")


def test_strata_of_a_constant_column_are_refused() -> None:
    assert "visits is 2" in read_error("sex", "visits")


def test_strata_of_a_column_with_gaps_are_refused() -> None:
    assert "site has no value for 1 of 60 subjects, such as 8" in read_error("site")


def test_strata_of_many_values_are_refused() -> None:
    assert "age has 30 different values" in read_error("age")


def test_strata_of_two_spellings_of_one_value_are_refused() -> None:
    assert "'1' and '1.0'" in read_error("spelling")


def test_strata_without_ids_are_refused() -> None:
    assert "no row has a subject id" in read_error("sex", subjects=None)


def test_strata_smaller_than_the_folds_are_refused() -> None:
    with pytest.raises(InputError, match=r"stratify"):
        assign_folds(LABELS, SUBJECTS, 30, seed=0, strata=read_strata(["sex"], LABELS, SUBJECTS))


@pytest.mark.parametrize(("n_folds", "named"), [(6, ""), (7, "1 of 4"), (15, "3 of 4")])
def test_small_strata_are_counted(n_folds: int, named: str) -> None:
    strata = read_strata(["sex"], LABELS, SUBJECTS)
    note = describe_small_strata(strata, SUBJECTS, n_folds)
    assert bool(note) == bool(named)
    assert named in note
