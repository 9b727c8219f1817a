"""Predict every row by a model that never saw its subject: `python -m stages.cross_validate MODEL`.

All rows, train and test, are in folds. Each fold has its own scaler and its own training.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import CrossValidation, Model
from mri_stages.console import parse_model_argument
from mri_stages.preprocessing.folds import assign_folds_of_rows
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
from mri_stages.storage.predictions import NO_EPOCH, Predictions, write_predictions
from mri_stages.training.checkpoint import Checkpoint, compute_fingerprint
from mri_stages.training.device import set_up_device
from mri_stages.training.held_out import HeldOutResult, fit_and_predict


def main() -> None:
    params = read_params()
    info = read_info()
    name = parse_model_argument("cross_validate", params.cross_validation.models)
    model = params.models[name]
    rows = load_all_rows(info)
    n_folds = params.cross_validation.folds
    seed = params.cross_validation.seed
    folds = assign_folds_of_rows(rows, info.image_shape, n_folds, seed)
    if folds is None:
        write_predictions(paths.folds(name), predict_nothing(len(info.classes)), info.classes)
        remove_checkpoints(name)
        return
    if rows.subjects is None:
        print("note: subject ids are unknown: the folds are by row, and may share subjects")

    # A killed run leaves the results of its finished folds, and a checkpoint.
    folder = paths.folds_checkpoint(name, compute_key(model, params.cross_validation))
    probabilities = np.empty((len(folds), len(info.classes)), np.float32)
    kept_epochs = np.zeros(len(folds), np.int64)
    for fold in range(n_folds):
        fold_path = folder / f"fold-{fold}.npy"
        epoch_path = folder / f"fold-{fold}.epoch.json"
        if not fold_path.exists():
            print(f"fold {fold + 1} of {n_folds}", flush=True)
            result = predict_fold(model, info, rows, folds, fold, seed, folder)
            write_json(epoch_path, {"kept_epoch": result.kept_epoch})
            shape = result.probabilities.shape
            write_array(fold_path, shape, np.float32, [result.probabilities])
        probabilities[folds == fold] = read_array(fold_path)
        kept_epochs[folds == fold] = read_json(epoch_path, dict)["kept_epoch"] or NO_EPOCH

    predictions = Predictions(
        rows=np.arange(len(folds)),
        subjects=rows.subjects,
        labels=rows.labels,
        probabilities=probabilities,
        folds=folds,
        kept_epochs=kept_epochs if model.validation else None,
    )
    write_predictions(paths.folds(name), predictions, info.classes)
    remove_checkpoints(name)


def predict_nothing(n_classes: int) -> Predictions:
    """Return predictions of no row, where no folds are possible."""
    no_rows = np.arange(0)
    return Predictions(no_rows, None, no_rows, np.empty((0, n_classes), np.float32), no_rows)


def compute_key(model: Model, cross_validation: CrossValidation) -> str:
    """Return a hash of all that decides the probabilities, so that no other run resumes."""
    values = {
        "model": model.model_dump(),
        "folds": cross_validation.folds,
        "seed": cross_validation.seed,
    }
    files = [*list_label_files(*SPLITS), *map(paths.flat_images, SPLITS)]
    return compute_fingerprint(values, files, set_up_device(model.threads))


def predict_fold(
    model: Model,
    info: Info,
    rows: AllRows,
    folds: NDArray[np.int64],
    fold: int,
    seed: int,
    folder: Path,
) -> HeldOutResult:
    """Train on all other folds; return the results for the rows (m,) of `fold`."""
    # Shuffle once: training takes rows in stored order, and raw files may be sorted by class.
    rng = np.random.default_rng(seed)
    train_indices = rng.permutation(np.flatnonzero(folds != fold))
    test_indices = np.flatnonzero(folds == fold)
    checkpoint = Checkpoint(folder / f"fold-{fold}.checkpoint")
    return fit_and_predict(
        model, info, rows, train_indices, test_indices, folder, checkpoint=checkpoint
    )


def remove_checkpoints(name: str) -> None:
    """Remove all folders of finished folds of the model, also those of other params."""
    for folder in paths.MODELS.glob(paths.folds_checkpoint(name, "*").name):
        remove_path(folder)


if __name__ == "__main__":
    run_stage(main)
