"""Predicted class probabilities of rows, as plots/predictions/M.csv and data/folds/M.csv."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.errors import InputError
from mri_stages.storage.files import REMAKE, read_csv, write_csv


class Predictions(NamedTuple):
    """Rows (N,) in any order, of K classes."""

    rows: NDArray[np.int64]  # (N,) numbers in the test set, or through train and test for folds
    subjects: NDArray[np.int64] | None  # (N,) ids; None where they are unknown
    labels: NDArray[np.int64]  # (N,) the actual classes
    probabilities: NDArray[np.float32]  # (N, K); NaN where a run diverged
    folds: NDArray[np.int64] | None = None  # (N,) in which the row was test

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Return the most likely class (N,); NaN counts as class 0."""
        predicted: NDArray[np.int64] = self.probabilities.argmax(1)
        return predicted

    @property
    def correct(self) -> NDArray[np.bool_]:
        return np.equal(self.predicted, self.labels)


def average_by_subject(found: Predictions) -> Predictions:
    """Return the mean probabilities per subject and class; without ids, the rows as they are."""
    if found.subjects is None:
        return found
    units = np.stack([found.subjects, found.labels])
    (subjects, labels), firsts, of_row = np.unique(
        units, axis=1, return_index=True, return_inverse=True
    )
    sums = np.zeros((len(subjects), found.probabilities.shape[1]))
    np.add.at(sums, of_row.ravel(), found.probabilities)
    means = sums / np.bincount(of_row.ravel())[:, None]
    folds = None if found.folds is None else found.folds[firsts]  # all of a subject's are equal
    return Predictions(np.arange(len(subjects)), subjects, labels, means.astype(np.float32), folds)


def write_predictions(path: Path, found: Predictions, classes: Sequence[str]) -> None:
    columns: dict[str, Iterable[Any]] = {
        "row": found.rows,
        "subject": [""] * len(found.rows) if found.subjects is None else found.subjects,
        "actual": [classes[label] for label in found.labels],
    }
    for name, column in zip(classes, found.probabilities.T, strict=True):
        columns[f"p_{name}"] = map(str, column)  # the shortest text of a float32
    if found.folds is not None:
        columns["fold"] = found.folds
    write_csv(path, [*columns], zip(*columns.values(), strict=True))


def read_predictions(path: Path, classes: Sequence[str]) -> Predictions:
    """Return what `write_predictions` wrote; InputError if it is of other classes."""
    rows = read_csv(path, dict[str, str | None])
    label_of = {name: label for label, name in enumerate(classes)}
    try:
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        subjects = [s for s in columns["subject"] if s is not None]
        probabilities = [columns[f"p_{name}"] for name in classes]
        return Predictions(
            np.array(columns["row"], np.int64),
            np.array(subjects, np.int64) if len(subjects) == len(rows) else None,
            np.array([label_of[str(name)] for name in columns["actual"]]),
            np.array(probabilities, np.float32).T,
            np.array(columns["fold"], np.int64) if "fold" in columns else None,
        )
    except (KeyError, ValueError, TypeError) as error:
        expected = ", ".join(classes)
        raise InputError(f"{path}: not predictions of {expected} ({error}); {REMAKE}") from None
