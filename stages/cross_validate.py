"""Predict every row by a model that never saw its subject: `python -m stages.cross_validate MODEL`.

All rows, train and test, are in folds. Each fold has its own scaler and its own training. Each
repeat has its own folds, and its own seed of the trainings. The networks of the first repeat are
kept, with the scalers of their folds.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import CrossValidation, Model
from mri_stages.console import parse_model_argument
from mri_stages.preprocessing.folds import assign_folds_of_repeats, derive_seed
from mri_stages.storage.arrays import read_array, write_array
from mri_stages.storage.dataset import (
    SPLITS,
    AllRows,
    Info,
    list_label_files,
    load_all_rows,
    read_info,
)
from mri_stages.storage.files import read_json, remove_path, write_json
from mri_stages.storage.predictions import (
    NO_EPOCH,
    Predictions,
    join_repeats,
    write_predictions,
)
from mri_stages.training.checkpoint import Checkpoint, compute_fingerprint
from mri_stages.training.device import set_up_device
from mri_stages.training.fold_networks import FoldFiles, FoldIndex, move_networks
from mri_stages.training.held_out import HeldOutResult, fit_and_predict

NETWORKS = "networks"  # of the folds of the first repeat, in the folder of a run


class Repeat(NamedTuple):
    """One repeat of the cross-validation."""

    number: int  # from 0
    options: CrossValidation

    @property
    def seed(self) -> int:
        """Return the seed of its folds."""
        return derive_seed(self.options.seed, self.number)

    @property
    def keeps_networks(self) -> bool:
        """Return whether its networks are kept: one repeat is enough to look at robustness."""
        return self.number == 0

    def describe_fold(self, fold: int) -> str:
        """Return a line of progress."""
        return (
            f"repeat {self.number + 1} of {self.options.repeats}, "
            f"fold {fold + 1} of {self.options.folds}"
        )


def main() -> None:
    params = read_params()
    info = read_info()
    name = parse_model_argument("cross_validate", params.cross_validation.models)
    model = params.models[name]
    rows = load_all_rows(info)
    options = params.cross_validation
    folds_of_repeats = assign_folds_of_repeats(rows, info.image_shape, options)
    folder = paths.folds_checkpoint(name, compute_key(model, options))
    networks = folder / NETWORKS
    if not folds_of_repeats:
        write_predictions(paths.folds(name), predict_nothing(len(info.classes)), info.classes)
        move_networks(networks, paths.fold_networks(name), FoldIndex(folds=0, networks=0))
        remove_checkpoints(name)
        return
    if rows.subjects is None:
        print("note: subject ids are unknown: the folds are by row, and may share subjects")

    # A killed run leaves the results of its finished folds, and a checkpoint.
    predictions = [
        predict_repeat(model, info, rows, folds, Repeat(number, options), folder)
        for number, folds in enumerate(folds_of_repeats)
    ]
    write_predictions(paths.folds(name), join_repeats(predictions), info.classes)
    index = FoldIndex(folds=options.folds, networks=model.ensemble)
    move_networks(networks, paths.fold_networks(name), index)
    remove_checkpoints(name)


def predict_nothing(n_classes: int) -> Predictions:
    """Return predictions of no row, where no folds are possible."""
    no_rows = np.arange(0)
    return Predictions(no_rows, None, no_rows, np.empty((0, n_classes), np.float32), no_rows)


def compute_key(model: Model, cross_validation: CrossValidation) -> str:
    """Return a hash of all that decides the probabilities, so that no other run resumes.

    The number of repeats decides none of them.
    """
    values = {
        "model": model.model_dump(),
        "folds": cross_validation.folds,
        "seed": cross_validation.seed,
    }
    files = [*list_label_files(*SPLITS), *map(paths.flat_images, SPLITS)]
    return compute_fingerprint(values, files, set_up_device(model.threads))


def predict_repeat(
    model: Model,
    info: Info,
    rows: AllRows,
    folds: NDArray[np.int64],
    repeat: Repeat,
    folder: Path,
) -> Predictions:
    """Return the predictions of all rows, each by the training of its fold (N,)."""
    model = model.model_copy(update={"seed": derive_seed(model.seed, repeat.number)})
    probabilities = np.empty((len(folds), len(info.classes)), np.float32)
    kept_epochs = np.zeros(len(folds), np.int64)
    for fold in range(repeat.options.folds):
        fold_path = folder / f"repeat-{repeat.number}-fold-{fold}.npy"
        epoch_path = fold_path.with_suffix(".json")
        kept_files = FoldFiles(folder / NETWORKS, fold) if repeat.keeps_networks else None
        if not is_finished(fold_path, kept_files, model.ensemble):
            print(repeat.describe_fold(fold), flush=True)
            result = predict_fold(
                model, info, rows, folds == fold, repeat.seed, fold_path, kept_files
            )
            write_json(epoch_path, {"kept_epoch": result.kept_epoch})
            shape = result.probabilities.shape
            write_array(fold_path, shape, np.float32, [result.probabilities])
            remove_checkpoints_of_fold(fold_path)
        probabilities[folds == fold] = read_array(fold_path)
        kept_epochs[folds == fold] = read_json(epoch_path, dict)["kept_epoch"] or NO_EPOCH

    return Predictions(
        rows=np.arange(len(folds)),
        subjects=rows.subjects,
        labels=rows.labels,
        probabilities=probabilities,
        folds=folds,
        kept_epochs=kept_epochs if model.validation else None,
    )


def is_finished(fold_path: Path, kept_files: FoldFiles | None, n_networks: int) -> bool:
    """Return whether a killed run left the probabilities of a fold and what it keeps of it."""
    return fold_path.exists() and (kept_files is None or kept_files.are_complete(n_networks))


def predict_fold(
    model: Model,
    info: Info,
    rows: AllRows,
    fold_mask: NDArray[np.bool_],
    seed: int,
    fold_path: Path,
    kept_files: FoldFiles | None,
) -> HeldOutResult:
    """Train on all rows (N,) outside a fold; return the results for its rows (m,).

    seed: of the order of the training rows. fold_path: the checkpoint lies beside it. kept_files:
    of the scaler and the networks, where they are kept.
    """
    # Shuffle once: training takes rows in stored order, and raw files may be sorted by class.
    rng = np.random.default_rng(seed)
    train_indices = rng.permutation(np.flatnonzero(~fold_mask))
    test_indices = np.flatnonzero(fold_mask)
    checkpoint = Checkpoint(fold_path.with_suffix(".checkpoint"))
    return fit_and_predict(
        model,
        info,
        rows,
        train_indices,
        test_indices,
        fold_path.parent,
        checkpoint=checkpoint,
        kept_files=kept_files,
    )


def remove_checkpoints_of_fold(fold_path: Path) -> None:
    """Remove the checkpoints of a finished fold: those of an ensemble are as large as all of it."""
    for path in fold_path.parent.glob(f"{fold_path.stem}.*checkpoint"):
        remove_path(path)


def remove_checkpoints(name: str) -> None:
    """Remove all folders of finished folds of the model, also those of other params."""
    for folder in paths.MODELS.glob(paths.folds_checkpoint(name, "*").name):
        remove_path(folder)


if __name__ == "__main__":
    run_stage(main)
