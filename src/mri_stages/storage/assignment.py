"""data/assignment.csv: the fold of each subject, or of each row without ids, in each repeat."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.dataset import AllRows
from mri_stages.storage.files import REMAKE, read_csv, write_csv

Integers = NDArray[np.int64]  # (N,)


class AssignedSubject(BaseModel):
    """A line of the file where ids are known."""

    repeat: NonNegativeInt
    subject: int
    fold: NonNegativeInt

    @property
    def unit(self) -> int:
        return self.subject


class AssignedRow(BaseModel):
    """A line of the file where no ids are known."""

    repeat: NonNegativeInt
    row: NonNegativeInt  # index in train and then test
    fold: NonNegativeInt

    @property
    def unit(self) -> int:
        return self.row


def write_assignment(folds_of_repeats: Sequence[Integers], subjects: Integers | None) -> None:
    """Write the fold (N,) of each row in each repeat: a header only where there is no repeat.

    subjects: (N,) ids; all rows of a subject are in one fold.
    """
    name, units = list_units(subjects, folds_of_repeats)
    _, first_rows = np.unique(units, return_index=True)
    lines = []
    for repeat, folds in enumerate(folds_of_repeats):
        for unit, fold in zip(units[first_rows], folds[first_rows], strict=True):
            lines.append((repeat, unit, fold))
    write_csv(paths.ASSIGNMENT, ("repeat", name, "fold"), lines)


def list_units(
    subjects: Integers | None, folds_of_repeats: Sequence[Integers]
) -> tuple[str, Integers]:
    """Return the name of the column of units, and the unit (N,) of each row."""
    if subjects is not None:
        return "subject", subjects
    n_rows = len(folds_of_repeats[0]) if folds_of_repeats else 0
    return "row", np.arange(n_rows)


def read_assignment(rows: AllRows) -> list[Integers]:
    """Return the fold (N,) of each row, for each repeat; none, and a note, if there are no folds.

    InputError if the file is not of these rows.
    """
    kind = AssignedRow if rows.subjects is None else AssignedSubject
    lines: Sequence[AssignedRow | AssignedSubject] = read_csv(paths.ASSIGNMENT, kind, least=0)
    if not lines:
        print(f"note: no folds are possible, so {paths.ASSIGNMENT} has none")
        return []

    units = np.arange(len(rows.labels)) if rows.subjects is None else rows.subjects
    n_repeats = 1 + max(line.repeat for line in lines)
    fold_by_unit: list[dict[int, int]] = [{} for _ in range(n_repeats)]
    for line in lines:
        fold_by_unit[line.repeat][line.unit] = line.fold
    return [list_folds(units, folds) for folds in fold_by_unit]


def list_folds(units: Integers, fold_by_unit: dict[int, int]) -> Integers:
    """Return the fold (N,) of each row from its unit (N,); InputError if the units are others."""
    if set(units.tolist()) != fold_by_unit.keys():
        raise InputError(f"{paths.ASSIGNMENT}: not of the rows of {paths.FLAT}; {REMAKE}")
    folds = np.array([fold_by_unit[unit] for unit in units.tolist()])
    if set(folds.tolist()) != set(range(int(folds.max()) + 1)):
        raise InputError(f"{paths.ASSIGNMENT}: a fold has no rows; {REMAKE}")
    return folds
