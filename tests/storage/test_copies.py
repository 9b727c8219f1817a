import numpy as np
import pytest

from mri_stages.storage import copies
from mri_stages.storage.copies import (
    Copies,
    find_copies,
    hash_rows,
    list_conflicts,
    list_test_copies,
)

SHAPE = (1, 2, 3)
RNG = np.random.default_rng(0)
TRAIN = RNG.integers(0, 256, (5, 6), np.uint8)
TEST = RNG.integers(0, 256, (3, 6), np.uint8)
TRAIN[4] = TRAIN[1]
TEST[2] = TRAIN[1]
TEST[0] = TRAIN[3]
FIRST_ROWS = [0, 1, 2, 3, 1, 3, 6, 1]


def test_copies_name_the_first_equal_row() -> None:
    assert find_copies([TRAIN, TEST], SHAPE).first_rows.tolist() == FIRST_ROWS


def test_copies_are_rows_after_an_equal_one() -> None:
    found = find_copies([TRAIN, TEST], SHAPE)
    assert np.flatnonzero(found.copy_mask).tolist() == [4, 5, 7]


def test_copies_of_floats_are_byte_equal() -> None:
    rows = np.array([[0, 1, 2, 3, 4, 5], [-0.0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]], np.float32)
    assert find_copies([rows, rows[:1]], SHAPE).first_rows.tolist() == [0, 1, 0, 0]


def test_copies_of_equal_hashes_are_compared_byte_by_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "hash_rows", lambda rows: np.zeros(len(rows), np.uint64))
    assert find_copies([TRAIN, TEST], SHAPE).first_rows.tolist() == FIRST_ROWS


@pytest.mark.parametrize(("shape", "is_constant"), [((2, 1, 3), True), ((1, 2, 3), False)])
def test_rows_of_one_value_per_channel_are_no_copies(
    shape: tuple[int, int, int], is_constant: bool
) -> None:
    rows = np.array([[7, 7, 7, 9, 9, 9]] * 2, np.uint8)
    found = find_copies([rows, rows], shape)
    assert found.constant_mask.tolist() == [is_constant] * 4
    assert found.copy_mask.any() == (not is_constant)


def test_hashes_are_of_each_row() -> None:
    assert hash_rows(TRAIN[:, ::-1])[1] == hash_rows(TRAIN[1:2, ::-1].copy())[0]
    assert len(np.unique(hash_rows(TRAIN))) == 4


def make_copies() -> Copies:
    return Copies(np.array(FIRST_ROWS), np.zeros(8, np.bool_))


def test_test_copies_are_rows_of_test_with_their_training_row() -> None:
    pairs = list_test_copies(make_copies(), n_train=5)
    assert pairs.rows.tolist() == [5, 7]
    assert pairs.first_rows.tolist() == [3, 1]


def test_conflicts_are_copies_of_another_value() -> None:
    pairs = list_conflicts(make_copies(), np.array([0, 1, 2, 3, 0, 3, 9, 0]))
    assert pairs.rows.tolist() == [4, 7]
    assert pairs.n_images == 1
