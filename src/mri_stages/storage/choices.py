"""The model that each outer fold chooses, as data/combined/chosen.csv."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel

from mri_stages import paths
from mri_stages.config.schema import CHOSEN
from mri_stages.storage.files import read_csv, read_json, write_csv, write_json
from mri_stages.storage.records import Estimate, Share


class Choice(NamedTuple):
    """A row of data/combined/chosen.csv."""

    repeat: int
    fold: int
    model: str  # or baseline
    auc: float | None  # of this model on the outer fold; None where the fold has none


class ChosenMetrics(BaseModel):
    """The content of metrics/cross_validation/chosen.json: the only score of the row `chosen`."""

    auc_by_fold: Share
    auc_by_fold_low: Share | None = None
    auc_by_fold_high: Share | None = None
    unscored_folds: str | None = None  # as of `Metrics`

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.auc_by_fold, self.auc_by_fold_low, self.auc_by_fold_high)


def write_chosen_metrics(content: dict[str, Any]) -> None:
    """Write the keys of `ChosenMetrics`, or none where no fold chooses."""
    write_json(paths.new_subject_metrics(CHOSEN), content)


def read_chosen_metrics() -> ChosenMetrics | None:
    """Return the score of the row `chosen`; None where there is no such row."""
    path = paths.new_subject_metrics(CHOSEN)
    if not path.exists() or not read_json(path, dict):
        return None
    return read_json(path, ChosenMetrics)


def read_choices() -> list[Choice]:
    return read_csv(paths.CHOICES, Choice, least=0)


def write_choices(choices: Iterable[Choice]) -> None:
    """Write a row per fold; a header only where no inner folds choose."""
    write_csv(paths.CHOICES, Choice._fields, choices)


def describe_choices(choices: Iterable[Choice]) -> str:
    """Return how many folds chose which model, the most frequent one first."""
    counts = Counter(choice.model for choice in choices)
    parts = [
        f"{name} in {count} fold{'' if count == 1 else 's'}" for name, count in counts.most_common()
    ]
    return ", ".join(parts)
