"""What stages hand to each other: metrics, leakage, pairs, points of curves."""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from mri_stages import paths
from mri_stages.config.schema import BASELINES, Params
from mri_stages.storage.files import read_json


class Prediction(NamedTuple):
    """A row of plots/confusion/M.csv: names of classes."""

    actual: str
    predicted: str


class RocPoint(NamedTuple):
    """A row of plots/roc/M.csv."""

    name: str  # of the positive class
    false_positive_rate: float
    true_positive_rate: float


Share = Annotated[float, Field(ge=0, le=1)]


class Metrics(BaseModel):
    """Figures in the order of the file; one that is None is left out of it."""

    model_config = ConfigDict(frozen=True, strict=True)
    accuracy: Share
    ci_low: Share  # 95 % confidence interval of the accuracy
    ci_high: Share
    balanced_accuracy: Share  # this and macro_f1: means over the scored classes
    macro_f1: Share
    auc: Share | None = None  # area under the ROC curve, see `auc`
    auc_low: Share | None = None  # 95 % confidence interval
    auc_high: Share | None = None
    loss: FiniteFloat | None = None
    diverged: bool | None = None  # None: a baseline
    unscored_classes: str | None = None  # see `scored_classes`; separated by commas
    by: Literal["subject", "row"] | None = None  # what cross-validation counts

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


def read_metrics(path: Path) -> Metrics | None:
    """Return the metrics of a file; None for a baseline that these data do not allow."""
    return read_json(path, Metrics) if read_json(path, dict) else None


def read_given_metrics(params: Params) -> dict[str, Metrics]:
    """Return the metrics on the given split, of the models and then of the baselines."""
    names = (*params.models, "majority", "nearest_neighbour")
    return {name: read_json(paths.metrics(name), Metrics) for name in names}


def read_new_subject_metrics(params: Params) -> dict[str, Metrics]:
    """Return the metrics in cross-validation, of the models and then of the baselines."""
    names = (*params.cross_validation.models, *BASELINES)
    found = {name: read_metrics(paths.new_subject_metrics(name)) for name in names}
    return {name: metrics for name, metrics in found.items() if metrics}


class Leakage(BaseModel):
    """What plots/leakage.json holds; a figure that is None is left out of it."""

    sentence: str
    nearest_neighbour_given: float  # its accuracy on the given split
    nearest_neighbour_random: float  # and on random folds of all rows
    sampled_rows: int | None = None  # how many it compared; None: all
    shared_subjects: float | None = None  # share of test rows of subjects with training rows
    same_subject_neighbour: float | None = None  # share whose nearest training row is of theirs
    nearest_row_of_same_subject: float | None = None  # of rows whose subject has others


class Pair(NamedTuple):
    a: str
    b: str
    only_a: int  # rows that only a gets right
    only_b: int
    p: float  # two-sided, Holm-corrected over the pairs
    verdict: str = ""
