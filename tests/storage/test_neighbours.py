from pathlib import Path

import numpy as np
import pytest

from mri_stages.errors import InputError
from mri_stages.storage.neighbours import (
    GROUPINGS,
    RANDOM_FOLDS,
    SINGLE_ROWS,
    Neighbours,
    NeighbourTable,
    name_subject_folds,
    read_neighbours,
    write_neighbours,
)


def make_table() -> NeighbourTable:
    nearest = np.array([4, 1, 1])
    closeness = np.array([0.5, np.nan, np.inf])
    return NeighbourTable(
        np.array([1, 3, 4]), {name: Neighbours(nearest, closeness) for name in GROUPINGS}
    )


def test_neighbours_are_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "neighbours.npz"
    write_neighbours(path, make_table())
    table = read_neighbours(path, n_rows=5)
    np.testing.assert_array_equal(table.compared, make_table().compared)
    for name in GROUPINGS:
        for actual, expected in zip(
            table.by_grouping[name], make_table().by_grouping[name], strict=True
        ):
            np.testing.assert_array_equal(actual, expected)


def test_neighbours_may_lack_folds(tmp_path: Path) -> None:
    path = tmp_path / "neighbours.npz"
    by_grouping = make_table().by_grouping
    del by_grouping[RANDOM_FOLDS]
    write_neighbours(path, make_table()._replace(by_grouping=by_grouping))
    assert RANDOM_FOLDS not in read_neighbours(path, n_rows=5).by_grouping


def test_neighbours_may_have_folds_of_several_repeats(tmp_path: Path) -> None:
    path = tmp_path / "neighbours.npz"
    by_grouping = make_table().by_grouping
    by_grouping[name_subject_folds(1)] = by_grouping[SINGLE_ROWS]
    write_neighbours(path, make_table()._replace(by_grouping=by_grouping))
    assert read_neighbours(path, n_rows=5).by_grouping.keys() == by_grouping.keys()


def test_neighbours_without_single_rows_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "neighbours.npz"
    by_grouping = make_table().by_grouping
    del by_grouping[SINGLE_ROWS]
    write_neighbours(path, make_table()._replace(by_grouping=by_grouping))
    with pytest.raises(InputError, match="single_rows"):
        read_neighbours(path, n_rows=5)


def test_neighbours_of_other_rows_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "neighbours.npz"
    write_neighbours(path, make_table())
    with pytest.raises(InputError, match=r"neighbours\.npz: .* 4 rows"):
        read_neighbours(path, n_rows=4)


@pytest.mark.parametrize("nearest", [[-1, 1, 1], [4, 1, 5], [4, 1]])
def test_neighbours_that_are_no_indices_are_an_error(tmp_path: Path, nearest: list[int]) -> None:
    path = tmp_path / "neighbours.npz"
    table = make_table()
    table.by_grouping[SINGLE_ROWS] = Neighbours(np.array(nearest), np.ones(3))
    write_neighbours(path, table)
    with pytest.raises(InputError, match="5 rows"):
        read_neighbours(path, n_rows=5)


def test_subject_folds_of_the_first_repeat_are_in_every_table() -> None:
    assert name_subject_folds(0) in GROUPINGS
    assert name_subject_folds(1) not in GROUPINGS


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_neighbours_of_another_file_are_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "neighbours.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"neighbours\.npz: "):
        read_neighbours(path, n_rows=4)


def test_neighbours_that_are_missing_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_neighbours(tmp_path / "neighbours.npz", n_rows=4)
