"""Predicted class probabilities of rows, as plots/predictions/M.csv and data/folds/M.csv."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.files import REMAKE, read_csv, write_csv

NO_EPOCH = 0  # in kept_epoch, of a fold whose validation loss was never a number


class Predictions(NamedTuple):
    """Rows (N,) in any order, of K classes."""

    rows: NDArray[np.int64]  # (N,) indices in test; for folds, in train and then test
    subjects: NDArray[np.int64] | None  # (N,) ids; None where they are unknown
    labels: NDArray[np.int64]  # (N,) the actual classes
    probabilities: NDArray[np.float32]  # (N, K); NaN where a run diverged
    folds: NDArray[np.int64] | None = None  # (N,) in which the row was test
    kept_epochs: NDArray[np.int64] | None = None
    """(N,) the epoch, from 1, whose weights predicted the row; None without validation"""
    repeats: NDArray[np.int64] | None = None
    """(N,) of the cross-validation, from 0: each repeat predicts all rows. None is one repeat"""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Return the most likely class (N,); NaN counts as class 0."""
        predicted: NDArray[np.int64] = self.probabilities.argmax(1)
        return predicted

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Return which rows (N,) have their actual class as the most likely one."""
        return np.equal(self.predicted, self.labels)


def split_repeats(predictions: Predictions) -> list[Predictions]:
    """Return the predictions of each repeat of the cross-validation, in ascending order."""
    if predictions.repeats is None:
        return [predictions]
    return [
        select_predictions(predictions, predictions.repeats == repeat)
        for repeat in np.unique(predictions.repeats)
    ]


def join_repeats(predictions_of_repeats: Sequence[Predictions]) -> Predictions:
    """Return the predictions of all repeats, numbered from 0 in this order."""
    numbered = []
    for repeat, predictions in enumerate(predictions_of_repeats):
        repeats = np.full(len(predictions.rows), repeat)
        numbered.append(predictions._replace(repeats=repeats))

    joined: dict[str, Any] = {}
    for field in Predictions._fields:
        columns = [getattr(predictions, field) for predictions in numbered]
        joined[field] = None if columns[0] is None else np.concatenate(columns)
    return Predictions(**joined)


def select_predictions(predictions: Predictions, row_mask: NDArray[np.bool_]) -> Predictions:
    """Return the predictions of the rows (N,) of the mask."""
    columns = [None if column is None else column[row_mask] for column in predictions]
    return Predictions._make(columns)


def average_by_subject(predictions: Predictions) -> Predictions:
    """Return the mean probabilities per subject and class; without ids, the rows as they are.

    ValueError for several repeats: their mean would be of an ensemble that nobody trained.
    """
    if predictions.repeats is not None and len(np.unique(predictions.repeats)) > 1:
        raise ValueError("predictions of several repeats, expected those of one")
    if predictions.subjects is None:
        return predictions

    # A unit is a subject with one of its labels. Its rows are averaged in float64.
    pairs = np.stack([predictions.subjects, predictions.labels])
    (subjects, labels), first_indices, unit_of_row = np.unique(
        pairs, axis=1, return_index=True, return_inverse=True
    )
    unit_of_row = unit_of_row.ravel()
    sums = np.zeros((len(subjects), predictions.probabilities.shape[1]))
    np.add.at(sums, unit_of_row, predictions.probabilities)
    means = sums / np.bincount(unit_of_row)[:, None]

    folds = predictions.folds
    if folds is not None:  # All rows of a subject are in one fold.
        folds = folds[first_indices]
    repeats = predictions.repeats
    if repeats is not None:
        repeats = repeats[first_indices]
    return Predictions(
        rows=np.arange(len(subjects)),
        subjects=subjects,
        labels=labels,
        probabilities=means.astype(np.float32),
        folds=folds,
        repeats=repeats,
    )


def average_repeats_by_subject(row_predictions: Predictions) -> list[Predictions]:
    """Return the mean probabilities per subject and class, in each repeat."""
    return [average_by_subject(predictions) for predictions in split_repeats(row_predictions)]


def write_predictions(path: Path, predictions: Predictions, classes: Sequence[str]) -> None:
    """Write a CSV with the columns row, subject, actual, p_CLASS...

    Where folds are known there are three more: fold, repeat, and kept_epoch, which is empty without
    validation.
    """
    subjects: Iterable[Any] = [""] * len(predictions.rows)
    if predictions.subjects is not None:
        subjects = predictions.subjects

    columns: dict[str, Iterable[Any]] = {
        "row": predictions.rows,
        "subject": subjects,
        "actual": [classes[label] for label in predictions.labels],
    }
    for name, probabilities in zip(classes, predictions.probabilities.T, strict=True):
        columns[f"p_{name}"] = map(str, probabilities)  # the shortest text of a float32
    if predictions.folds is not None:
        columns["fold"] = predictions.folds
        columns["repeat"] = [0] * len(predictions.rows)
        columns["kept_epoch"] = [""] * len(predictions.rows)
    if predictions.repeats is not None:
        columns["repeat"] = predictions.repeats
    if predictions.kept_epochs is not None:
        columns["kept_epoch"] = predictions.kept_epochs

    write_csv(path, [*columns], zip(*columns.values(), strict=True))


def has_predictions(path: Path) -> bool:
    """Return whether the file has rows; it has none where no folds are possible."""
    return bool(read_csv(path, dict[str, str | None], least=0))


def read_predictions(path: Path, classes: Sequence[str]) -> Predictions:
    """Return what `write_predictions` wrote; InputError if it is of other classes."""
    rows = read_csv(path, dict[str, str | None])
    try:
        return parse_predictions(rows, classes)
    except (KeyError, ValueError, TypeError) as error:
        expected = ", ".join(classes)
        raise InputError(f"{path}: not predictions of {expected} ({error}); {REMAKE}") from None


def read_new_subject_predictions(
    names: Iterable[str], classes: Sequence[str]
) -> dict[str, Predictions]:
    """Return the predictions of the models that have some on new subjects, by name.

    Print which models have no file, since they failed. The file of a model has no rows where no
    folds are possible.
    """
    predictions_by_model = {}
    for name in names:
        path = paths.folds(name)
        if not path.exists():
            print(f"note: {name} has no result on new subjects, and is left out")
        elif has_predictions(path):
            predictions_by_model[name] = read_predictions(path, classes)
    return predictions_by_model


def parse_predictions(
    rows: Sequence[Mapping[str, str | None]], classes: Sequence[str]
) -> Predictions:
    """Return the predictions of the rows of a CSV; KeyError, ValueError or TypeError if not any."""
    columns = {}
    for key in rows[0]:
        columns[key] = [row[key] for row in rows]
    label_of_class = {name: label for label, name in enumerate(classes)}
    probabilities = [columns[f"p_{name}"] for name in classes]

    subjects = None
    if None not in columns["subject"]:
        subjects = np.array(columns["subject"], np.int64)
    folds = None
    repeats = None
    if "fold" in columns:
        folds = np.array(columns["fold"], np.int64)
        repeats = np.array(columns["repeat"], np.int64)
    kept_epochs = None
    if None not in columns.get("kept_epoch", [None]):
        kept_epochs = np.array(columns["kept_epoch"], np.int64)

    return Predictions(
        rows=np.array(columns["row"], np.int64),
        subjects=subjects,
        labels=np.array([label_of_class[str(name)] for name in columns["actual"]]),
        probabilities=np.array(probabilities, np.float32).T,
        folds=folds,
        kept_epochs=kept_epochs,
        repeats=repeats,
    )
