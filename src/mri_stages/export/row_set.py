"""Describe a set of rows: a few figures, and a hash of each row by which a copy is recognised."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FiniteFloat, NonNegativeInt, PositiveInt

from mri_stages.storage.arrays import iterate_chunks, to_pixels
from mri_stages.storage.dataset import LabelledImages

FLOAT32_BYTES = 4
HASH_BYTES = 8  # of the 32 of a SHA-256: two of 24,000 rows collide once in 64 billion sets
HASH_TYPE = np.dtype("<u8")

Hashes = NDArray[np.uint64]  # (N,) see `hash_image`


class SetFigures(BaseModel):
    """What a person compares two sets of rows by. All pixels count alike."""

    model_config = ConfigDict(frozen=True)

    rows: PositiveInt
    subjects: PositiveInt | None = None
    """The number of subjects; `None`, and left out of a file, where ids are unknown."""
    class_counts: dict[str, NonNegativeInt]  # rows by class, in label order
    darkest: FiniteFloat
    brightest: FiniteFloat
    mean: FiniteFloat
    deviation: FiniteFloat

    @property
    def has_unit_range(self) -> bool:
        return lies_in_unit_range(self.darkest, self.brightest)

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class RowSet(NamedTuple):
    """The figures of a set of rows, and the hash of each row."""

    figures: SetFigures
    hashes: Hashes


def lies_in_unit_range(darkest: float, brightest: float) -> bool:
    """Return whether pixels of this range are from 0 to 1, as those of image files are."""
    return darkest >= 0 and brightest <= 1


def describe_stored_rows(
    rows: LabelledImages, classes: Sequence[str], progress_label: str
) -> RowSet:
    """Return the figures and hashes of rows that the stage `load` stored."""
    chunks = iterate_stored_pixels(rows.images, progress_label)
    return describe_rows(chunks, rows.labels, rows.subjects, classes)


def iterate_stored_pixels(
    images: NDArray[Any], progress_label: str
) -> Iterator[NDArray[np.float32]]:
    """Yield stored images (N, C, H, W) as pixels, in chunks (n, C, H, W)."""
    row_bytes = FLOAT32_BYTES * images[0].size
    for chunk in iterate_chunks(len(images), row_bytes, progress_label):
        yield to_pixels(images[chunk])


def describe_rows(
    chunks: Iterable[NDArray[np.float32]],
    labels: NDArray[np.int64],
    subjects: NDArray[np.int64] | None,
    classes: Sequence[str],
) -> RowSet:
    """Return the figures and hashes of rows, whose finite pixels come in chunks (n, C, H, W)."""
    survey = PixelSurvey()
    for chunk in chunks:
        survey.add(chunk)

    counts = np.bincount(labels, minlength=len(classes)).tolist()
    figures = SetFigures(
        rows=len(labels),
        subjects=None if subjects is None else len(np.unique(subjects)),
        class_counts=dict(zip(classes, counts, strict=True)),
        darkest=survey.darkest,
        brightest=survey.brightest,
        mean=survey.mean,
        deviation=survey.deviation,
    )
    return RowSet(figures, np.array(survey.hashes, HASH_TYPE))


@dataclass
class PixelSurvey:
    """Counts pixels as they come. Sums are of float64."""

    darkest: float = np.inf
    brightest: float = -np.inf
    n_pixels: int = 0
    pixel_sum: float = 0.0
    square_sum: float = 0.0
    hashes: list[int] = field(default_factory=list)

    def add(self, images: NDArray[np.float32]) -> None:
        """Count images (n, C, H, W)."""
        self.darkest = min(self.darkest, float(images.min()))
        self.brightest = max(self.brightest, float(images.max()))
        self.n_pixels += images.size
        self.pixel_sum += float(images.sum(dtype=np.float64))
        self.square_sum += float(np.square(images, dtype=np.float64).sum())
        self.hashes += [hash_image(image) for image in images]

    @property
    def mean(self) -> float:
        return self.pixel_sum / self.n_pixels

    @property
    def deviation(self) -> float:
        variance = self.square_sum / self.n_pixels - self.mean**2
        return float(np.sqrt(max(0.0, variance)))  # rounding could make it -1e-20


def hash_image(pixels: NDArray[np.float32]) -> int:
    """Return the first 8 bytes of the SHA-256 of an image (C, H, W), as a little-endian number.

    The hashed bytes are the float32 pixels in the order (C, H, W), little-endian, with 0 for -0.
    So images of equal pixels have equal hashes, however they are stored: uint8 grey levels k count
    as k/255, and a single stored channel as the equal channels that it stands for.
    """
    canonical = np.ascontiguousarray(pixels, "<f4") + np.float32(0)  # -0 + 0 is 0
    digest = hashlib.sha256(canonical.data).digest()
    return int.from_bytes(digest[:HASH_BYTES], "little")
