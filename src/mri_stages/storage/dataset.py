"""Read data/flat: metadata, the rows of one split, or the rows of both."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from mri_stages import paths
from mri_stages.config.schema import ScaledRows
from mri_stages.errors import InputError
from mri_stages.storage.arrays import has_no_rows, read_integers, read_rows, view_as_images
from mri_stages.storage.files import REMAKE, read_json

SPLITS = ("train", "test")


class Info(BaseModel):
    """What data/flat/info.json holds."""

    model_config = ConfigDict(frozen=True)

    image_shape: tuple[PositiveInt, PositiveInt, PositiveInt]  # channels, height, width
    classes: list[str] = Field(min_length=2)  # distinct names in label order
    counts: dict[str, list[int]]  # rows by class, of each split

    @property
    def n_classes(self) -> int:
        return len(self.classes)


class LabelledImages(NamedTuple):
    """Images with their labels and subjects, such as the rows of train or test."""

    images: NDArray[Any]  # (N, C, H, W), memory-mapped; equal channels have a stride of 0
    labels: NDArray[np.int64]  # (N,)
    subjects: NDArray[np.int64] | None  # (N,) ids; None where they are unknown


class AllRows(NamedTuple):
    """The rows of train and then of test, with one running index."""

    parts: list[NDArray[Any]]  # of each split (n, D), as `load` stored them, memory-mapped
    labels: NDArray[np.int64]  # (N,)
    subjects: NDArray[np.int64] | None  # (N,) ids; None where they are unknown
    scaled: ScaledRows = "saved"  # where a training on some of the rows has their scaled pixels

    @property
    def test_mask(self) -> NDArray[np.bool_]:
        """Return which rows (N,) are of test."""
        n_train = len(self.parts[0])
        return np.arange(len(self.labels)) >= n_train


def read_info() -> Info:
    """Return data/flat/info.json; InputError if it is not readable."""
    return read_json(paths.INFO, Info)


def load_scaled(split: str, info: Info) -> LabelledImages:
    """Return the rows of `split` with standardised pixels, float32.

    InputError, which names the param, if the file has no rows, since each batch is scaled.
    """
    path = paths.scaled_images(split)
    if has_no_rows(path):
        raise InputError(
            f"{path}: no rows, as for `data.scaled: on_the_fly`, expected those of {split}; set "
            "data.scaled in params.yaml to saved and run 'mri-stages repro scale'"
        )
    return load_labelled_images(split, info, path)


def load_stored(split: str, info: Info) -> LabelledImages:
    """Return the rows of `split` as the stage `load` stored them, uint8 or float32."""
    return load_labelled_images(split, info, paths.flat_images(split))


def load_labelled_images(split: str, info: Info, path: Path) -> LabelledImages:
    """Return the images at `path` with the labels and subject ids of `split`."""
    images = view_as_images(read_rows(path, info.image_shape), info.image_shape)
    labels = read_integers(paths.labels(split), len(images), info.n_classes)
    return LabelledImages(images, labels, read_subjects(split, len(images)))


def load_all_rows(info: Info, scaled: ScaledRows = "saved") -> AllRows:
    """Return the rows of both splits; InputError if they are not stored alike.

    scaled: of params.yaml; it counts for trainings only.
    """
    parts = read_stored_splits(info)
    labels = []
    subjects = []

    for split, rows in zip(SPLITS, parts, strict=True):
        labels.append(read_integers(paths.labels(split), len(rows), info.n_classes))
        split_subjects = read_subjects(split, len(rows))
        if split_subjects is not None:
            subjects.append(split_subjects)

    return AllRows(
        parts=parts,
        labels=np.concatenate(labels),
        subjects=np.concatenate(subjects) if subjects else None,
        scaled=scaled,
    )


def read_stored_splits(info: Info) -> list[NDArray[Any]]:
    """Return the stored rows (n, D) of train and test; InputError if they are not stored alike."""
    train, test = [read_stored_rows(split, info) for split in SPLITS]
    if describe_rows(test) != describe_rows(train):
        raise InputError(
            f"{paths.flat_images('test')}: {describe_rows(test)}, expected "
            f"{describe_rows(train)}; {REMAKE}"
        )
    return [train, test]


def read_stored_rows(split: str, info: Info) -> NDArray[Any]:
    """Return the rows (N, D) of `split` as `load` stored them, uint8 or float32."""
    return read_rows(paths.flat_images(split), info.image_shape)


def describe_rows(rows: NDArray[Any]) -> str:
    """Return how rows (N, D) are stored, such as "uint8 rows of 4096 values"."""
    return f"{rows.dtype} rows of {rows.shape[1]} values"


def read_subjects(split: str, n_rows: int) -> NDArray[np.int64] | None:
    """Return the subject ids (n_rows,) of a split; None where they are unknown.

    InputError if the ids of only one split are known: then folds could not be by subject.
    """
    existing_files = [paths.subjects(name) for name in SPLITS if paths.subjects(name).exists()]
    if not existing_files:
        return None
    if len(existing_files) < len(SPLITS):
        raise InputError(
            f"{paths.FLAT}: subject ids in {existing_files[0].name} only, expected them for train "
            f"and test or for neither; {REMAKE}"
        )
    return read_integers(paths.subjects(split), n_rows)


def list_label_files(*splits: str) -> list[Path]:
    """Return the files that say what the rows of `splits` are, subject ids only if known."""
    files = [paths.INFO]
    for split in splits:
        files.append(paths.labels(split))
        if paths.subjects(split).exists():
            files.append(paths.subjects(split))
    return files
