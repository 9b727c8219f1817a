"""Predict every row by a model that never saw its subject: `python -m stages.cross_validate MODEL`.

All rows, train and test, are in folds. Each fold has its own scaler and its own training. Each
repeat has its own folds, and its own seed of the trainings. The networks of the first repeat are
kept, with the scalers of their folds.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Model
from mri_stages.console import enter_part, parse_model_argument
from mri_stages.errors import InputError
from mri_stages.preprocessing.folds import derive_seed
from mri_stages.preprocessing.nested_folds import assign_inner_folds
from mri_stages.storage.arrays import read_array, write_array
from mri_stages.storage.assignment import read_assignment
from mri_stages.storage.dataset import (
    SPLITS,
    AllRows,
    Info,
    list_label_files,
    load_all_rows,
    read_info,
)
from mri_stages.storage.files import read_json, remove_path, write_json
from mri_stages.storage.inner_predictions import (
    InnerPredictions,
    OuterFold,
    write_inner_predictions,
)
from mri_stages.storage.predictions import (
    NO_EPOCH,
    Predictions,
    join_repeats,
    write_predictions,
)
from mri_stages.training.checkpoint import Checkpoint, compute_fingerprint
from mri_stages.training.device import set_up_device
from mri_stages.training.fit import check_last_batches, count_training_rows
from mri_stages.training.fold_networks import FoldFiles, FoldIndex, move_networks
from mri_stages.training.held_out import (
    HeldOutResult,
    Indices,
    fit_and_predict,
    shuffle_rows,
)
from mri_stages.training.inner_training import InnerTask, predict_inner_folds

NETWORKS = "networks"  # of the folds of the first repeat, in the folder of a run


class Repeat(NamedTuple):
    """One repeat of the cross-validation."""

    number: int  # from 0
    n_repeats: int
    folds: NDArray[np.int64]  # (N,) in which each row is test
    seed: int  # of the order of the training rows

    @property
    def n_folds(self) -> int:
        return int(self.folds.max()) + 1

    @property
    def keeps_networks(self) -> bool:
        """Return whether its networks are kept: one repeat is enough to look at robustness."""
        return self.number == 0

    @contextmanager
    def enter_fold(self, fold: int) -> Iterator[None]:
        """Let those who watch know which fold is trained meanwhile."""
        in_repeat = enter_part("repeat", self.number + 1, self.n_repeats)
        in_fold = enter_part("fold", fold + 1, self.n_folds)
        with in_repeat, in_fold:
            yield

    def order_training_rows(self, fold: int) -> Indices:
        """Return the rows that train for a fold: those of the others."""
        return shuffle_rows(self.folds != fold, self.seed)

    def describe_fold(self, fold: int) -> str:
        """Return a line of progress."""
        return f"repeat {self.number + 1} of {self.n_repeats}, fold {fold + 1} of {self.n_folds}"


def main() -> None:
    params = read_params()
    info = read_info()
    name = parse_model_argument("cross_validate", params.cross_validation.models)
    model = params.models[name]
    rows = load_all_rows(info, params.data.scaled)
    folds_of_repeats = read_assignment(rows)
    inner_folds_of_repeats = assign_inner_folds(
        rows, info.image_shape, folds_of_repeats, params.cross_validation
    )
    fingerprint = compute_fingerprint_of_rows(model, params.cross_validation.seed)
    folders = [
        paths.folds_checkpoint(name, compute_key(fingerprint, folds)) for folds in folds_of_repeats
    ]
    if not folds_of_repeats:
        write_nothing(name, info.classes, paths.folds_checkpoint(name, fingerprint))
        return
    if rows.subjects is None:
        print("note: subject ids are unknown: the folds are by row, and may share subjects")

    repeats = list_repeats(folds_of_repeats, params.cross_validation.seed)
    tasks_of_repeats = list(map(list_inner_tasks, repeats, inner_folds_of_repeats))
    check_trainings(info, rows, list_trainings(model, repeats, tasks_of_repeats))

    # A killed run leaves the results of its finished folds, and a checkpoint.
    predictions = [
        predict_repeat(model, info, rows, repeat, folder)
        for repeat, folder in zip(repeats, folders, strict=True)
    ]
    inner: InnerPredictions = {}
    for tasks, folder in zip(tasks_of_repeats, folders, strict=True):
        inner |= predict_inner(model, info, rows, tasks, folder)
    write_inner_predictions(paths.inner(name), inner, info.classes)
    write_predictions(paths.folds(name), join_repeats(predictions), info.classes)
    index = FoldIndex(folds=repeats[0].n_folds, networks=model.ensemble)
    move_networks(folders[0] / NETWORKS, paths.fold_networks(name), index)
    remove_checkpoints(name)


def write_nothing(name: str, classes: Sequence[str], folder: Path) -> None:
    """Write predictions of no row, and no networks, where no folds are possible.

    folder: of the run, as for each repeat.
    """
    write_predictions(paths.folds(name), predict_nothing(len(classes)), classes)
    write_inner_predictions(paths.inner(name), {}, classes)
    index = FoldIndex(folds=0, networks=0)
    move_networks(folder / NETWORKS, paths.fold_networks(name), index)
    remove_checkpoints(name)


def predict_nothing(n_classes: int) -> Predictions:
    """Return predictions of no row."""
    no_rows = np.arange(0)
    return Predictions(no_rows, None, no_rows, np.empty((0, n_classes), np.float32), no_rows)


def compute_fingerprint_of_rows(model: Model, seed: int) -> str:
    """Return a hash of all that decides the probabilities but the folds."""
    values = {"model": model.model_dump(), "seed": seed}
    files = [*list_label_files(*SPLITS), *map(paths.flat_images, SPLITS)]
    return compute_fingerprint(values, files, set_up_device(model.threads))


def compute_key(fingerprint: str, folds: NDArray[np.int64]) -> str:
    """Return a hash of all that decides a repeat's probabilities, so that no other run resumes."""
    text = f"{fingerprint} {folds.tolist()}"
    return hashlib.sha256(text.encode()).hexdigest()[: len(fingerprint)]


def list_repeats(folds_of_repeats: Sequence[NDArray[np.int64]], first_seed: int) -> list[Repeat]:
    return [
        Repeat(number, len(folds_of_repeats), folds, derive_seed(first_seed, number))
        for number, folds in enumerate(folds_of_repeats)
    ]


def list_inner_tasks(
    repeat: Repeat, inner_folds_of_folds: Sequence[NDArray[np.int64]]
) -> list[InnerTask]:
    """Return the inner folds of each outer fold of a repeat; none without any."""
    return [
        InnerTask(OuterFold(repeat.number, fold), inner_folds, repeat.seed)
        for fold, inner_folds in enumerate(inner_folds_of_folds)
    ]


class PlannedTraining(NamedTuple):
    """A training of the cross-validation, before it begins."""

    name: str  # as its line of progress
    model: Model  # with the seed of its repeat
    train_indices: Indices


def list_trainings(
    model: Model, repeats: Sequence[Repeat], tasks_of_repeats: Sequence[Sequence[InnerTask]]
) -> Iterator[PlannedTraining]:
    """Yield all trainings, those of inner folds last."""
    for repeat in repeats:
        repeat_model = select_repeat(model, repeat.number)
        for fold in range(repeat.n_folds):
            indices = repeat.order_training_rows(fold)
            yield PlannedTraining(repeat.describe_fold(fold), repeat_model, indices)
    for tasks in tasks_of_repeats:
        for task in tasks:
            repeat_model = select_repeat(model, task.place.repeat)
            for inner_fold in range(task.n_inner):
                indices = task.order_training_rows(inner_fold)
                yield PlannedTraining(task.describe(inner_fold), repeat_model, indices)


def select_repeat(model: Model, repeat: int) -> Model:
    """Return the model of one repeat, from 0: it has a seed of its own."""
    return model.model_copy(update={"seed": derive_seed(model.seed, repeat)})


def check_trainings(info: Info, rows: AllRows, trainings: Iterable[PlannedTraining]) -> None:
    """Raise InputError that names a training whose validation rows or last batch cannot be.

    It is asked before the first training, which may take hours.
    """
    checked_counts: set[int] = set()
    for training in trainings:
        model = training.model
        labels = rows.labels[training.train_indices]
        subjects = None if rows.subjects is None else rows.subjects[training.train_indices]
        try:
            counts = set(count_training_rows(model, labels, subjects, info.classes))
            check_last_batches(model, info, counts - checked_counts)
        except InputError as error:
            raise InputError(f"{error} ({training.name})") from None
        checked_counts |= counts


def predict_repeat(
    model: Model, info: Info, rows: AllRows, repeat: Repeat, folder: Path
) -> Predictions:
    """Return the predictions of all rows, each by the training of its fold."""
    folds = repeat.folds
    model = select_repeat(model, repeat.number)
    probabilities = np.empty((len(folds), len(info.classes)), np.float32)
    kept_epochs = np.zeros(len(folds), np.int64)
    for fold in range(repeat.n_folds):
        fold_path = folder / f"repeat-{repeat.number}-fold-{fold}.npy"
        epoch_path = fold_path.with_suffix(".json")
        kept_files = FoldFiles(folder / NETWORKS, fold) if repeat.keeps_networks else None
        if not is_finished(fold_path, kept_files, model.ensemble):
            print(repeat.describe_fold(fold), flush=True)
            with repeat.enter_fold(fold):
                result = predict_fold(model, info, rows, repeat, fold, fold_path, kept_files)
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


def predict_inner(
    model: Model,
    info: Info,
    rows: AllRows,
    tasks: Sequence[InnerTask],
    folder: Path,
) -> InnerPredictions:
    """Return the predictions by inner folds, of each outer fold of a repeat; none without any."""
    inner = {}
    for task in tasks:
        repeat_model = select_repeat(model, task.place.repeat)
        inner[task.place] = predict_inner_folds(repeat_model, info, rows, task, folder)
    return inner


def is_finished(fold_path: Path, kept_files: FoldFiles | None, n_networks: int) -> bool:
    """Return whether a killed run left the probabilities of a fold and what it keeps of it."""
    return fold_path.exists() and (kept_files is None or kept_files.are_complete(n_networks))


def predict_fold(
    model: Model,
    info: Info,
    rows: AllRows,
    repeat: Repeat,
    fold: int,
    fold_path: Path,
    kept_files: FoldFiles | None,
) -> HeldOutResult:
    """Train on all rows outside a fold of a repeat; return the results for its rows (m,).

    fold_path: the checkpoint lies beside it. kept_files: of the scaler and the networks, where they
    are kept.
    """
    train_indices = repeat.order_training_rows(fold)
    test_indices = np.flatnonzero(repeat.folds == fold)
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
