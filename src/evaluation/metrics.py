"""The metrics of a model or baseline, as metrics/NAME.json holds them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from sklearn.metrics import accuracy_score, f1_score, recall_score

from src.evaluation.confidence import Subjects, confidence_interval
from src.params import FOLD_BASELINES
from src.storage.files import read_json

Share = Annotated[float, Field(ge=0, le=1)]


class Metrics(BaseModel):
    """Figures of the test rows, in the order of the file; one that is None is left out of it."""

    model_config = ConfigDict(frozen=True, strict=True)
    accuracy: Share
    ci_low: Share  # 95 % confidence interval of the accuracy
    ci_high: Share
    balanced_accuracy: Share | None = None  # this and macro_f1: means over the scored classes
    macro_f1: Share | None = None
    loss: FiniteFloat | None = None
    diverged: bool | None = None  # None: a baseline
    unscored_classes: str | None = None  # names, separated by commas

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class Prediction(BaseModel):
    """A row of plots/confusion/M.csv: names of classes."""

    actual: str
    predicted: str


def score(
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    subjects: Subjects,
    classes: Sequence[str],
    unscored: Sequence[str] = (),
    *,
    loss: float | None = None,
    diverged: bool | None = None,
) -> Metrics:
    """Return the metrics of predicted labels (N,) against `labels` (N,).

    The means over classes leave out `unscored`. A loss that is not finite is None: JSON has none.
    """
    low, high = confidence_interval(predicted == labels, subjects)
    scored = [label for label, name in enumerate(classes) if name not in unscored]
    over = {"labels": scored, "average": "macro", "zero_division": 0.0}
    return Metrics(
        accuracy=float(accuracy_score(labels, predicted)),
        ci_low=low,
        ci_high=high,
        balanced_accuracy=float(recall_score(labels, predicted, **over)) if scored else None,
        macro_f1=float(f1_score(labels, predicted, **over)) if scored else None,
        loss=loss if loss is not None and math.isfinite(loss) else None,
        diverged=diverged,
        unscored_classes=", ".join(unscored) or None,
    )


def read_baseline(path: Path) -> Metrics | None:
    """Return the metrics of a baseline; None for one on folds that these data do not allow."""
    if path.stem in FOLD_BASELINES and not read_json(path, dict):
        return None
    return read_json(path, Metrics)
