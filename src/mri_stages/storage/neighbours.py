"""data/neighbours.npz: for each row, its nearest row in another group, for several groupings."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from mri_stages.errors import InputError
from mri_stages.storage.files import REMAKE, explain_read_errors, write_bytes

# The groupings of the rows. A neighbour is always of another group.
GIVEN_SPLIT = "given_split"  # train and test
RANDOM_FOLDS = "random_folds"  # folds of rows, whatever their subject
SUBJECT_FOLDS = "subject_folds"  # the folds of cross-validation, see `name_subject_folds`
INNER_FOLDS = "inner_folds"  # inside a fold of the cross-validation, see `name_inner_folds`
SINGLE_ROWS = "single_rows"  # each row is a group
GROUPINGS = (GIVEN_SPLIT, RANDOM_FOLDS, SUBJECT_FOLDS, SINGLE_ROWS)
FOLD_GROUPINGS = (RANDOM_FOLDS, SUBJECT_FOLDS, INNER_FOLDS)  # a table may lack them

Indices = NDArray[np.int64]


def name_subject_folds(repeat: int) -> str:
    """Return the name of the grouping by the folds of a repeat of the cross-validation."""
    return SUBJECT_FOLDS if repeat == 0 else f"{SUBJECT_FOLDS}_{repeat}"


def name_inner_folds(repeat: int, fold: int) -> str:
    """Return the name of the grouping by the inner folds of a fold, whose rows are of no group.

    A row of no group is nobody's neighbour.
    """
    return f"{INNER_FOLDS}_{repeat}_{fold}"


class Neighbours(NamedTuple):
    """The nearest row of another group, for each of n rows."""

    nearest: Indices  # (n,) index of the nearest row among all rows
    closeness: NDArray[np.float64]  # (n,) see `find_nearest_neighbours`


class NeighbourTable(NamedTuple):
    """The neighbours of a sample of the rows, or of all rows."""

    compared: Indices  # (n,) indices of the compared rows, in ascending order
    by_grouping: dict[str, Neighbours]


def write_neighbours(path: Path, table: NeighbourTable) -> None:
    """Write the table as .npz. Its bytes depend on the arrays only."""
    arrays: dict[str, NDArray[np.int64] | NDArray[np.float64]] = {"compared": table.compared}
    for grouping, neighbours in table.by_grouping.items():
        arrays[f"{grouping}_nearest"] = neighbours.nearest
        arrays[f"{grouping}_closeness"] = neighbours.closeness

    data = io.BytesIO()
    with ZipFile(data, "w") as archive:  # np.savez would store the time, and other headers
        for name, values in arrays.items():
            member = io.BytesIO()
            np.save(member, values, allow_pickle=False)
            archive.writestr(ZipInfo(f"{name}.npy"), member.getvalue())
    write_bytes(path, data.getvalue())


def read_neighbours(path: Path, n_rows: int) -> NeighbourTable:
    """Return the table of `write_neighbours`; InputError if it is not of `n_rows` rows."""
    by_grouping = {}
    try:
        with explain_read_errors(path), np.load(path, allow_pickle=False) as arrays:
            compared = arrays["compared"]
            for grouping in list_groupings(arrays):
                nearest = arrays[f"{grouping}_nearest"]
                closeness = arrays[f"{grouping}_closeness"]
                by_grouping[grouping] = Neighbours(nearest, closeness)
    except (EOFError, KeyError, BadZipFile) as error:
        raise InputError(f"{path}: no table of neighbours ({error}); {REMAKE}") from None

    for indices in (compared, *(neighbours.nearest for neighbours in by_grouping.values())):
        if len(indices) != len(compared) or indices.min() < 0 or indices.max() >= n_rows:
            raise InputError(f"{path}: not indices of the {n_rows} rows of data/flat; {REMAKE}")
    return NeighbourTable(compared, by_grouping)


def list_groupings(arrays: Iterable[str]) -> list[str]:
    """Return those that every table has, and those of folds that are among the names of arrays."""
    fold_groupings = []
    for name in arrays:
        grouping = name.removesuffix("_nearest")
        if grouping != name and grouping.startswith(FOLD_GROUPINGS):
            fold_groupings.append(grouping)
    return [GIVEN_SPLIT, *fold_groupings, SINGLE_ROWS]
