import numpy as np
import pytest

from mri_stages.baselines.units import build_units, sample_units, sum_by_unit
from mri_stages.storage.dataset import AllRows

LABELS = np.array([0, 1, 0, 1, 1])
SUBJECTS = np.array([7, 3, 7, 3, 7])


def build_rows(subjects: np.ndarray | None) -> AllRows:
    return AllRows([np.zeros((5, 2), np.uint8)], LABELS, subjects)


def test_units_are_subjects_once_per_class() -> None:
    units = build_units(build_rows(SUBJECTS))
    assert units.first_rows.tolist() == [1, 0, 4]  # subject 3; subject 7 of class 0, and of class 1
    assert units.unit_of_row.tolist() == [1, 0, 1, 0, 2]


def test_units_without_ids_are_rows() -> None:
    units = build_units(build_rows(None))
    assert units.first_rows.tolist() == units.unit_of_row.tolist() == [0, 1, 2, 3, 4]


def test_sums_are_over_the_rows_of_a_unit() -> None:
    units = build_units(build_rows(SUBJECTS))
    values = np.array([[1, 10], [2, 20], [4, 40], [8, 80], [16, 160]])
    assert sum_by_unit(values, units).tolist() == [[10, 100], [5, 50], [16, 160]]


def test_sample_of_few_units_is_all_of_them() -> None:
    assert sample_units(LABELS, 5).tolist() == [0, 1, 2, 3, 4]


def test_sample_has_the_share_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [60, 38, 2])
    sample = sample_units(labels, 50)
    assert np.bincount(labels[sample]).tolist() == [30, 19, 1]


def test_sample_has_one_unit_of_a_rare_class() -> None:
    labels = np.repeat([0, 1], [99, 1])
    assert 99 in sample_units(labels, 10)


@pytest.mark.parametrize("max_units", [10, 99])
def test_sample_is_seeded_and_sorted(max_units: int) -> None:
    labels = np.arange(100) % 3
    sample = sample_units(labels, max_units).tolist()
    assert sample == sorted(set(sample))
    assert sample == sample_units(labels, max_units).tolist()
