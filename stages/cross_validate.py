"""Predict every row by a model that never saw its subject: `python -m stages.cross_validate MODEL`.

All rows, train and test, are in folds. Each fold has its own scaler and its own training.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Model
from mri_stages.console import parse_model_argument
from mri_stages.models import make_network
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.preprocessing.scaling import write_scaled
from mri_stages.storage.arrays import read_array, view_as_images, write_array
from mri_stages.storage.dataset import (
    SPLITS,
    AllRows,
    Info,
    list_label_files,
    load_all_rows,
    read_info,
)
from mri_stages.storage.files import remove_path
from mri_stages.storage.predictions import Predictions, write_predictions
from mri_stages.training.checkpoint import Checkpoint, fingerprint
from mri_stages.training.device import set_up_device
from mri_stages.training.loop import train
from mri_stages.training.predict import predict_logits
from mri_stages.training.validation import choose_validation_rows

Rows = NDArray[np.int64]  # their numbers


def main() -> None:
    params, info = read_params(), read_info()
    n_folds, seed = params.cross_validation.folds, params.cross_validation.seed
    name = parse_model_argument("cross_validate", params.cross_validation.models)
    model, rows = params.models[name], load_all_rows(info)
    fold = assign_folds(rows.labels, rows.subjects, n_folds, seed)
    if rows.subjects is None:
        print("note: subject ids are unknown: the folds are by row, and may share subjects")

    # A killed run leaves the probabilities of its finished folds, and a checkpoint.
    files = [*list_label_files(*SPLITS), *map(paths.flat_images, SPLITS)]
    values = {"model": model.model_dump(), "folds": n_folds, "seed": seed}
    key = fingerprint(values, files, set_up_device(model.threads))
    work = paths.folds_checkpoint(name, key)
    probabilities = np.empty((len(fold), len(info.classes)), np.float32)
    for number in range(n_folds):
        finished, test = work / f"fold-{number}.npy", np.flatnonzero(fold == number)
        if not finished.exists():
            print(f"fold {number + 1} of {n_folds}", flush=True)
            # Batches are rows in stored order, so the rows are not left as the raw files sort them.
            fitted = np.random.default_rng(seed).permutation(np.flatnonzero(fold != number))
            checkpoint = Checkpoint(work / f"fold-{number}.checkpoint")
            data = info, rows, fitted, test
            of_fold = trained_probabilities(model, *data, work, checkpoint=checkpoint)
            write_array(finished, of_fold.shape, np.float32, [of_fold])
        probabilities[test] = read_array(finished)
    found = Predictions(np.arange(len(fold)), rows.subjects, rows.labels, probabilities, fold)
    write_predictions(paths.folds(name), found, info.classes)
    for old in paths.MODELS.glob(paths.folds_checkpoint(name, "*").name):  # also of other params
        remove_path(old)


def trained_probabilities(
    model: Model, info: Info, rows: AllRows, fitted: Rows, others: Rows, work: Path, **options: Any
) -> NDArray[np.float32]:
    """Return the class probabilities (m, K) of the rows `others` (m,), after training on `fitted`.

    The scaled rows lie in the folder `work`: they may be larger than memory. options: of `train`.
    """
    files = {work / "x_fitted.npy": fitted, work / "x_others.npy": others}
    write_scaled(rows.parts, files)
    x_fitted, x_others = (
        torch.from_numpy(view_as_images(read_array(path), info.image_shape)) for path in files
    )
    y = rows.labels[fitted]
    subjects = None if rows.subjects is None else rows.subjects[fitted]
    chosen = choose_validation_rows(model, y, subjects, info.classes)
    held_out = None if chosen is None else torch.from_numpy(chosen)
    device = set_up_device(model.threads)
    network = make_network(model.arch, info.image_shape, len(info.classes), model.seed).to(device)
    train(network, x_fitted, torch.from_numpy(y), model, held_out=held_out, **options)
    return predict_logits(network, x_others).softmax(1).numpy()


if __name__ == "__main__":
    run_stage(main)
