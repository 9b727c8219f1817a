"""data/flat: what the rows are (info.json), and the rows of one split; a row of a history."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.arrays import read_integers, read_rows, view_as_images
from mri_stages.storage.files import REMAKE, read_json

SPLITS = ("train", "test")


class Info(BaseModel):
    """What data/flat/info.json holds."""

    model_config = ConfigDict(frozen=True)

    image_shape: tuple[PositiveInt, PositiveInt, PositiveInt]  # channels, height, width
    classes: list[str] = Field(min_length=2)  # distinct names in label order
    counts: dict[str, list[int]]  # rows by class, of each split


class LabelledImages(NamedTuple):
    """Images with their labels and subjects, such as the rows of train or test."""

    images: NDArray[Any]  # (N, C, H, W), memory-mapped; equal channels have a stride of 0
    labels: NDArray[np.int64]  # (N,)
    subjects: NDArray[np.int64] | None  # (N,) ids; None where they are unknown


class AllRows(NamedTuple):
    """The rows of train and then of test, numbered through."""

    parts: list[NDArray[Any]]  # of each split (n, D), as `load` stored them, memory-mapped
    labels: NDArray[np.int64]  # (N,)
    subjects: NDArray[np.int64] | None  # (N,) ids; None where they are unknown

    @property
    def in_test(self) -> NDArray[np.bool_]:
        return np.arange(len(self.labels)) >= len(self.parts[0])


def read_info() -> Info:
    return read_json(paths.INFO, Info)


def load_split(split: str, info: Info, scaled: bool = True) -> LabelledImages:
    """Return the rows of `split`: scaled as float32, or as `load` stored them."""
    path = paths.scaled_images(split) if scaled else paths.flat_images(split)
    images = view_as_images(read_rows(path, info.image_shape), info.image_shape)
    labels = read_integers(paths.labels(split), len(images), len(info.classes))
    ids = paths.subjects(split)
    subjects = read_integers(ids, len(images)) if ids.exists() else None
    return LabelledImages(images, labels, subjects)


def load_all_rows(info: Info) -> AllRows:
    """Return the rows of both splits."""
    splits = [load_split(split, info, scaled=False) for split in SPLITS]
    labels = np.concatenate([split.labels for split in splits])
    ids = [split.subjects for split in splits if split.subjects is not None]
    subjects = np.concatenate(ids) if len(ids) == len(splits) else None
    return AllRows(read_stored(info), labels, subjects)


def read_stored(info: Info) -> list[NDArray[Any]]:
    """Return the stored rows (n, D) of train and test; InputError if they are not stored alike."""
    train, test = (read_rows(paths.flat_images(split), info.image_shape) for split in SPLITS)
    expected, found = (f"{rows.dtype} rows of {rows.shape[1]} values" for rows in (train, test))
    if found != expected:
        raise InputError(f"{paths.flat_images('test')}: {found}, expected {expected}; {REMAKE}")
    return [train, test]


def list_label_files(*splits: str) -> list[Path]:
    """Return the files that say what the rows of `splits` are, subject ids only if known."""
    found = [path(split) for split in splits for path in (paths.labels, paths.subjects)]
    return [paths.INFO, *(path for path in found if path.exists())]
