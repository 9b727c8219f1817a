"""Images that no file holds scaled: rows as `load` stored them, and the scaler of their batches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.storage.arrays import Shape, select_rows, to_pixels, view_as_images
from mri_stages.storage.dataset import LabelledImages


@dataclass(frozen=True)
class UnscaledImages:
    """Images (N, C, H, W) that are scaled when they are read."""

    parts: Sequence[NDArray[Any]]  # stored rows (n, D), which share one running index
    indices: NDArray[np.int64]  # (N,) of the images, into the parts
    image_shape: Shape
    mean: NDArray[np.float32]  # (D,) of the pixels of a stored row
    scale: NDArray[np.float32]  # (D,)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def n_stored_channels(self) -> int:
        """Return the channels of a stored row: 1 where all are equal."""
        _, height, width = self.image_shape
        n_features: int = self.parts[0].shape[1]
        return n_features // (height * width)

    @property
    def has_equal_channels(self) -> bool:
        """Return whether equal channels are stored once."""
        return self.n_stored_channels < self.image_shape[0]

    @property
    def stored_bytes(self) -> int:
        """Return the bytes of all images as they are stored."""
        row_bytes: int = self.parts[0][0].nbytes
        return len(self) * row_bytes

    def select(self, selection: NDArray[Any]) -> "UnscaledImages":
        """Return the selected images, by a mask (N,) or by indices; no row is read."""
        return replace(self, indices=self.indices[selection])

    def read_stored(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Return a copy of the stored rows (n, D) of the images with these indices (n,)."""
        return select_rows(self.parts, self.indices[indices])

    def scale_all(self) -> NDArray[np.float32]:
        """Return all images scaled, in memory: (N, C, H, W); equal channels have a stride of 0."""
        # In place: the rows are a copy.
        rows = to_pixels(self.read_stored(np.arange(len(self))))
        rows -= self.mean
        rows /= self.scale
        return view_as_images(rows, self.image_shape)


class LabelledUnscaledImages(NamedTuple):
    """Images that are scaled when they are read, with their labels and subjects."""

    images: UnscaledImages
    labels: NDArray[np.int64]  # (N,)
    subjects: NDArray[np.int64] | None  # (N,) ids; None where they are unknown


TrainingRows = LabelledImages | LabelledUnscaledImages  # what a training takes


def label_images(
    images: NDArray[Any] | UnscaledImages,
    labels: NDArray[np.int64],
    subjects: NDArray[np.int64] | None,
) -> TrainingRows:
    """Return images of either kind with their labels and subjects."""
    if isinstance(images, UnscaledImages):
        return LabelledUnscaledImages(images, labels, subjects)
    return LabelledImages(images, labels, subjects)
