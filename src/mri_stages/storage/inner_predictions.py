"""Predictions of the training rows of each outer fold, by inner folds, as data/inner/M.csv."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mri_stages.errors import InputError
from mri_stages.storage.files import REMAKE, read_csv, write_csv
from mri_stages.storage.predictions import Predictions, parse_predictions, select_predictions


class OuterFold(NamedTuple):
    """A fold of one repeat of the cross-validation, each from 0."""

    repeat: int
    fold: int


InnerPredictions = dict[OuterFold, Predictions]  # `folds` are the inner ones


def write_inner_predictions(path: Path, inner: InnerPredictions, classes: Sequence[str]) -> None:
    """Write a row per outer fold and training row; a header only without any."""
    header = ["repeat", "fold", "inner_fold", "row", "subject", "actual"]
    header += [f"p_{name}" for name in classes]
    lines: list[tuple[Any, ...]] = []
    for place, predictions in inner.items():
        assert predictions.folds is not None
        for index, row in enumerate(predictions.rows):
            subject = "" if predictions.subjects is None else predictions.subjects[index]
            actual = classes[predictions.labels[index]]
            texts = map(str, predictions.probabilities[index])  # the shortest text of a float32
            lines.append((*place, predictions.folds[index], row, subject, actual, *texts))
    write_csv(path, header, lines)


def read_inner_predictions(path: Path, classes: Sequence[str]) -> InnerPredictions:
    """Return what `write_inner_predictions` wrote; InputError if it is of other classes."""
    rows = read_csv(path, dict[str, str | None], least=0)
    if not rows:
        return {}
    try:
        outer_folds = np.array([row["fold"] for row in rows], np.int64)
        content = [{**row, "fold": row["inner_fold"]} for row in rows]
        predictions = parse_predictions(content, classes)
    except (KeyError, ValueError, TypeError) as error:
        expected = ", ".join(classes)
        raise InputError(f"{path}: not predictions of {expected} ({error}); {REMAKE}") from None

    assert predictions.repeats is not None
    inner: InnerPredictions = {}
    for repeat, fold in np.unique(np.stack([predictions.repeats, outer_folds]), axis=1).T:
        row_mask = (predictions.repeats == repeat) & (outer_folds == fold)
        inner[OuterFold(int(repeat), int(fold))] = select_predictions(predictions, row_mask)
    return inner
