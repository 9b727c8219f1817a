"""data/flat: what the rows are (info.json), and the rows of one split; a row of a history."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from src import paths
from src.storage.arrays import as_images, read_numbers, read_rows
from src.storage.files import read_json

SPLITS = ("train", "test")


class Info(BaseModel):
    """What data/flat/info.json holds."""

    model_config = ConfigDict(frozen=True)

    image_shape: tuple[PositiveInt, PositiveInt, PositiveInt]  # channels, height, width
    classes: list[str] = Field(min_length=2)  # names in label order
    scored: list[str]  # the classes over which balanced accuracy and macro F1 are means
    counts: dict[str, list[int]]  # rows by class, of each split

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        if len(set(self.classes)) < len(self.classes) or not set(self.scored) <= {*self.classes}:
            raise ValueError("expected distinct names in classes, and some of them in scored")
        if not all(name.isprintable() for name in self.classes):
            raise ValueError("expected printable names in classes")
        return self

    @property
    def unscored_classes(self) -> list[str]:
        return [name for name in self.classes if name not in self.scored]


class Split(NamedTuple):
    """The rows of train or test."""

    images: NDArray[Any]  # (N, C, H, W), memory-mapped; equal channels have a stride of 0
    labels: NDArray[np.int64]  # (N,)
    subjects: NDArray[np.int64] | None  # (N,) ids; None where they are unknown


class Epoch(NamedTuple):
    """A row of plots/history/M.csv; accuracy and losses are of each batch before its own step."""

    epoch: int
    train_loss: float  # mean over the training rows
    last_batch_loss: float  # what the notebook prints
    train_accuracy: float  # NaN logits count as class 0, which is what argmax makes of them


def read_info() -> Info:
    return read_json(paths.INFO, Info)


def load_split(split: str, info: Info, scaled: bool = True) -> Split:
    """Return the rows of `split`: scaled as float32, or as `load` stored them."""
    path = paths.scaled_images(split) if scaled else paths.flat_images(split)
    images = as_images(read_rows(path, info.image_shape), info.image_shape)
    labels = read_numbers(paths.labels(split), len(images), len(info.classes))
    return Split(images, labels, read_subjects(split, len(images)))


def read_subjects(split: str, n_rows: int) -> NDArray[np.int64] | None:
    """Return the subject ids of `split` (n_rows,), or None where they are unknown."""
    path = paths.subjects(split)
    return read_numbers(path, n_rows) if path.exists() else None
