"""Predict the training rows of an outer fold, each by a training on other inner folds."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.config.schema import Model
from mri_stages.storage.arrays import read_array, write_array
from mri_stages.storage.dataset import AllRows, Info
from mri_stages.storage.files import remove_path
from mri_stages.storage.inner_predictions import OuterFold
from mri_stages.storage.predictions import Predictions
from mri_stages.training.checkpoint import Checkpoint
from mri_stages.training.held_out import Indices, fit_and_predict, shuffle_rows


class InnerTask(NamedTuple):
    """The inner folds of one outer fold."""

    place: OuterFold
    inner_folds: NDArray[np.int64]  # (N,); negative for the rows of the outer fold
    seed: int  # of the order of the training rows

    @property
    def n_inner(self) -> int:
        return int(self.inner_folds.max()) + 1

    def order_training_rows(self, inner_fold: int) -> Indices:
        """Return the rows that train for an inner fold: those of the others."""
        train_mask = (self.inner_folds >= 0) & (self.inner_folds != inner_fold)
        return shuffle_rows(train_mask, self.seed)

    def describe(self, inner_fold: int) -> str:
        """Return a line of progress."""
        return (
            f"repeat {self.place.repeat + 1}, fold {self.place.fold + 1}, "
            f"inner fold {inner_fold + 1} of {self.n_inner}"
        )


def predict_inner_folds(
    model: Model, info: Info, rows: AllRows, task: InnerTask, folder: Path
) -> Predictions:
    """Return the predictions of all rows outside the outer fold.

    Each inner training has its own scaler, and sees no row of the outer fold. A killed run leaves
    the results of its finished inner folds, and a checkpoint, in `folder`.
    """
    probabilities = np.empty((len(task.inner_folds), len(info.classes)), np.float32)
    for inner_fold in range(task.n_inner):
        test_mask = task.inner_folds == inner_fold
        name = f"inner-{task.place.repeat}-{task.place.fold}-{inner_fold}-of-{task.n_inner}"
        path = folder / f"{name}.npy"
        if not path.exists():
            print(task.describe(inner_fold), flush=True)
            result = predict_inner_fold(model, info, rows, task, inner_fold, path)
            write_array(path, result.shape, np.float32, [result])
            for checkpoint in folder.glob(f"{name}.*checkpoint"):
                remove_path(checkpoint)
        probabilities[test_mask] = read_array(path)

    indices = np.flatnonzero(task.inner_folds >= 0)
    return Predictions(
        rows=indices,
        subjects=None if rows.subjects is None else rows.subjects[indices],
        labels=rows.labels[indices],
        probabilities=probabilities[indices],
        folds=task.inner_folds[indices],
    )


def predict_inner_fold(
    model: Model, info: Info, rows: AllRows, task: InnerTask, inner_fold: int, path: Path
) -> NDArray[np.float32]:
    """Return the probabilities (m, K) of one inner fold from the others."""
    train_indices = task.order_training_rows(inner_fold)
    test_indices = np.flatnonzero(task.inner_folds == inner_fold)
    checkpoint = Checkpoint(path.with_suffix(".checkpoint"))
    result = fit_and_predict(
        model, info, rows, train_indices, test_indices, path.parent, checkpoint=checkpoint
    )
    return result.probabilities
