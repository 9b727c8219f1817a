"""Changes of images that a scanner or an import may make, and the AUC on what they leave."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.evaluation.roc_auc import compute_auc, compute_auc_interval
from mri_stages.storage.predictions import Predictions, average_by_subject, select_predictions
from mri_stages.storage.records import RobustnessRow

SEED = 0  # of the sample of subjects and rows, of directions and of noise
MAX_SUBJECTS = 100
MAX_ROWS_PER_SUBJECT = 3
MAX_ROWS_WITHOUT_IDS = MAX_SUBJECTS * MAX_ROWS_PER_SUBJECT

Images = NDArray[np.float32]  # (n, c, H, W), c = 1 where all channels are equal


class Kind(Enum):
    """A kind of change; the value is its name in the table."""

    UNCHANGED = "unchanged"
    SHIFT = "shift"
    NOISE = "noise"
    CONTRAST = "contrast"
    BRIGHTNESS = "brightness"


class Change(NamedTuple):
    """A change of all images."""

    kind: Kind
    strength: float = 0
    unit: str = ""  # of the strength


RANGE_UNIT = "of the grey range"
FACTOR_UNIT = "times the contrast"
UNCHANGED = Change(Kind.UNCHANGED)
CHANGES = (
    UNCHANGED,
    Change(Kind.SHIFT, 1, "pixels"),
    Change(Kind.SHIFT, 2, "pixels"),
    Change(Kind.SHIFT, 4, "pixels"),
    Change(Kind.NOISE, 0.02, RANGE_UNIT),  # the standard deviation
    Change(Kind.NOISE, 0.05, RANGE_UNIT),
    Change(Kind.NOISE, 0.1, RANGE_UNIT),
    Change(Kind.CONTRAST, 0.8, FACTOR_UNIT),  # around the mean of an image
    Change(Kind.CONTRAST, 0.6, FACTOR_UNIT),
    Change(Kind.CONTRAST, 0.4, FACTOR_UNIT),
    Change(Kind.BRIGHTNESS, 0.05, RANGE_UNIT),  # added to each pixel
    Change(Kind.BRIGHTNESS, 0.1, RANGE_UNIT),
    Change(Kind.BRIGHTNESS, 0.2, RANGE_UNIT),
)


class GreyRange(NamedTuple):
    """The least and the greatest value that a pixel may have."""

    low: float
    high: float


def sample_predictions(predictions: Predictions) -> Predictions:
    """Return the predictions of at most MAX_ROWS_PER_SUBJECT rows of at most MAX_SUBJECTS subjects.

    Without ids it is at most MAX_ROWS_WITHOUT_IDS rows. The sample is seeded; the rows keep their
    order.
    """
    rng = np.random.default_rng(SEED)
    n_rows = len(predictions.rows)
    row_mask = np.zeros(n_rows, np.bool_)
    if predictions.subjects is None:
        row_mask[rng.permutation(n_rows)[:MAX_ROWS_WITHOUT_IDS]] = True
        return select_predictions(predictions, row_mask)

    for subject in rng.permutation(np.unique(predictions.subjects))[:MAX_SUBJECTS]:
        indices = np.flatnonzero(predictions.subjects == subject)
        row_mask[rng.permutation(indices)[:MAX_ROWS_PER_SUBJECT]] = True
    return select_predictions(predictions, row_mask)


def find_grey_range(pixels: NDArray[np.float32]) -> GreyRange:
    """Return 0 to 1, or the range of the pixels where they lie outside."""
    low = float(pixels.min())
    high = float(pixels.max())
    if low >= 0 and high <= 1:
        return GreyRange(0, 1)
    return GreyRange(low, high)


class ImageChanger:
    """Images of some rows before scaling, from which it makes changed ones."""

    def __init__(self, images: Images, rows: Sequence[int], grey_range: GreyRange) -> None:
        """Draw directions and noise. rows: the numbers (n,) of the images, which decide these.

        So an image is changed alike for all models, and noise of another strength is the same
        noise.
        """
        self.images = images
        self.grey_range = grey_range
        self.directions = np.empty((len(images), 2), np.int64)  # rows down, columns right
        self.noise = np.empty_like(images)
        for index, row in enumerate(rows):
            rng = np.random.default_rng([SEED, row])
            sign = rng.choice([-1, 1])
            self.directions[index] = rng.permutation([sign, 0])
            self.noise[index] = rng.standard_normal(images.shape[1:], np.float32)

    def change(self, change: Change) -> Images:
        """Return the changed images, with pixels clipped to the grey range."""
        low, high = self.grey_range
        extent = np.float32(high - low)
        strength = np.float32(change.strength)
        match change.kind:
            case Kind.UNCHANGED:
                return self.images
            case Kind.SHIFT:
                return shift_images(self.images, self.directions * int(change.strength))
            case Kind.NOISE:
                changed = self.images + strength * extent * self.noise
            case Kind.CONTRAST:
                means = self.images.mean((1, 2, 3), keepdims=True)
                changed = means + strength * (self.images - means)
            case Kind.BRIGHTNESS:
                changed = self.images + strength * extent
        return changed.clip(low, high)


def shift_images(images: Images, shifts: NDArray[np.int64]) -> Images:
    """Return images moved by (n, 2) pixels down and right; the pixels at the edge are repeated."""
    height, width = images.shape[2:]
    shifted = np.empty_like(images)
    for index, (down, right) in enumerate(shifts):
        source_rows = (np.arange(height) - down).clip(0, height - 1)
        source_columns = (np.arange(width) - right).clip(0, width - 1)
        shifted[index] = images[index][:, source_rows[:, None], source_columns]
    return shifted


def score_changes(
    predictions: Predictions,
    probabilities: NDArray[np.float32],
    negative_label: int | None,
) -> list[RobustnessRow]:
    """Return the AUC for each of CHANGES, by subject, with its interval.

    predictions: of n rows of unchanged images. probabilities: (C, n, K) of these rows for each
    change. Nothing is returned where unchanged images have no AUC.
    """
    rows = []
    for change, changed_probabilities in zip(CHANGES, probabilities, strict=True):
        units = average_by_subject(predictions._replace(probabilities=changed_probabilities))
        auc = compute_auc(units, negative_label)
        if auc is None and change is UNCHANGED:
            return []
        low = None
        high = None
        if auc is not None:
            low, high = compute_auc_interval([units], negative_label)
        rows.append(
            RobustnessRow(
                change=change.kind.value,
                strength=change.strength,
                unit=change.unit or None,
                auc=auc,
                low=low,
                high=high,
                units=len(units.labels),
            )
        )
    return rows
