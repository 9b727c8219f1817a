"""plots/failures.csv: the new subjects that a model got wrong with the most confidence."""

from collections.abc import Iterable
from typing import NamedTuple

from mri_stages import paths
from mri_stages.storage.files import read_csv, write_csv


class Failure(NamedTuple):
    """A row of plots/failures.csv."""

    model: str
    subject: int | None  # id; None where ids are unknown
    actual: str  # class
    answer: str  # the wrong class, or `not CLASS`
    probability: float  # of the wrong answer: the mean over the subject's rows
    row: int  # index in train and then test, of the row that is drawn
    row_probability: float  # of the wrong answer for that row
    file: str  # its file, or else such as "test row 3"


def write_failures(failures: Iterable[Failure]) -> None:
    write_csv(paths.FAILURES, Failure._fields, failures)


def read_failures() -> list[Failure]:
    """Return the failures of all models; none where no folds are possible, or nothing is wrong."""
    return read_csv(paths.FAILURES, Failure, least=0)
