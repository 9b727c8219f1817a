"""The model that each outer fold chooses, as data/combined/chosen.csv."""

from collections.abc import Iterable
from typing import NamedTuple

from mri_stages import paths
from mri_stages.storage.files import write_csv


class Choice(NamedTuple):
    """A row of data/combined/chosen.csv."""

    repeat: int
    fold: int
    model: str  # or baseline
    auc: float | None  # of this model on the outer fold; None where the fold has none


def write_choices(choices: Iterable[Choice]) -> None:
    """Write a row per fold; a header only where no inner folds choose."""
    write_csv(paths.CHOICES, Choice._fields, choices)
