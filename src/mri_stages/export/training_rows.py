"""What is known of the rows that a model was trained on: figures, hashes, and the rows themselves.

An export folder has the figures and the hashes. The rows lie only in the workspace of the training.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.errors import InputError
from mri_stages.export.export_folder import DESCRIPTION_FILE, HASHES_FILE
from mri_stages.export.row_set import HASH_TYPE, Hashes, RowSet, SetFigures, describe_stored_rows
from mri_stages.storage.arrays import read_array
from mri_stages.storage.dataset import Info, load_stored, read_info
from mri_stages.storage.files import read_json

NO_HASHES: Hashes = np.empty(0, HASH_TYPE)
NO_IMAGES: NDArray[Any] = np.empty((0, 0, 0, 0), np.float32)


class TrainingRows(NamedTuple):
    """The training rows of a model, as far as they are known."""

    figures: SetFigures
    negative_class: str | None  # of two-class scores; None where there is none
    hashes: Hashes  # (N,) of the rows; empty where they are unknown
    images: NDArray[Any]  # (N, C, H, W) as stored; empty where this workspace lacks them


class TrainingDescription(BaseModel):
    """What is read back of model.json on the training rows."""

    training_set: SetFigures
    negative_class: str | None = None


def load_training_rows(name: str) -> TrainingRows:
    """Return what is known of the training rows of a model of params.yaml or an export folder."""
    folder = Path(name)
    if folder.is_dir():
        return load_exported_training_rows(folder)

    info = read_info()
    row_set = describe_workspace_rows(info)
    return TrainingRows(
        figures=row_set.figures,
        negative_class=read_params().evaluation.negative_class,
        hashes=row_set.hashes,
        images=load_stored("train", info).images,
    )


def describe_workspace_rows(info: Info) -> RowSet:
    return describe_stored_rows(load_stored("train", info), info.classes, "training rows")


def load_exported_training_rows(folder: Path) -> TrainingRows:
    """Return what an export folder tells of its training rows.

    Their images are those of the current folder, if it holds rows of the same hashes.
    """
    path = folder / DESCRIPTION_FILE
    try:
        description = read_json(path, TrainingDescription)
    except InputError as error:
        raise InputError(f"{error} (an export folder of an earlier version lacks it)") from None
    hashes = read_hashes(folder / HASHES_FILE, description.training_set.rows)

    return TrainingRows(
        figures=description.training_set,
        negative_class=description.negative_class,
        hashes=hashes,
        images=find_workspace_images(hashes),
    )


def read_hashes(path: Path, n_rows: int) -> Hashes:
    """Return the hashes of the training rows (N,); none if there is no such file."""
    if not path.exists():
        return NO_HASHES
    hashes = read_array(path)
    if hashes.dtype != HASH_TYPE or hashes.shape != (n_rows,):
        raise InputError(
            f"{path}: {hashes.dtype} of shape {hashes.shape}, expected {HASH_TYPE} of shape "
            f"({n_rows},), a hash per training row; export the model again"
        )
    return hashes


def find_workspace_images(hashes: Hashes) -> NDArray[Any]:
    """Return the training images of the current folder if their hashes are these, else none."""
    if not paths.INFO.exists() or not paths.flat_images("train").exists():
        return NO_IMAGES
    info = read_info()
    images = load_stored("train", info).images
    if len(images) != len(hashes):
        return NO_IMAGES
    is_same = np.array_equal(describe_workspace_rows(info).hashes, hashes)
    return images if is_same else NO_IMAGES
