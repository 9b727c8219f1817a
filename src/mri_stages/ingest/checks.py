"""Check a raw folder for faults that would train without an error, and score wrongly.

What is certainly wrong raises InputError here. What is only likely wrong is a warning, here and in
the stage `scale`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mri_stages.errors import InputError
from mri_stages.ingest.file_kinds import COLOUR, GREY, KindCounts, Property
from mri_stages.storage.arrays import Shape, iterate_chunks, view_as_images
from mri_stages.storage.dataset import AllRows

# The largest ratio of the typical ranges of train and test. Data of one kind reached 1.5; shares
# are 255 times as narrow as grey levels.
MAX_RANGE_RATIO = 100
MAX_SAMPLED_ROWS = 50  # of each set, to estimate its typical range
MAX_CHANNELS_LAST = 4  # a last axis of up to 4 values may be channels
N_COLOURS = 3  # channels of an image in colour
MAX_USUAL_CHANNELS = 4  # more are as likely the slices of a volume
SORTED_SHARE = 1 / 5  # of the changes of class in random order; fewer mean that rows are sorted


def check_axes(path: Path, images: torch.Tensor) -> None:
    """Raise InputError if `images`, of four axes, have their channels last."""
    _, first_axis, second_axis, last_axis = images.shape
    if last_axis <= MAX_CHANNELS_LAST < min(first_axis, second_axis):
        raise InputError(
            f"{path}: shape {tuple(images.shape)} is N x H x W x C, expected N x C x H x W; save "
            "x.permute(0, 3, 1, 2)"
        )


def list_channel_notes(path: Path, images: torch.Tensor) -> list[str]:
    """Return a note if the channels of `images` (N, C, H, W) may be the slices of volumes."""
    n_channels = images.shape[1]
    if n_channels <= MAX_USUAL_CHANNELS:
        return []
    return [
        f"note: {path}: shape {tuple(images.shape)} is read as {len(images)} images of "
        f"{n_channels} channels; if they are volumes of {n_channels} slices, save each slice as an "
        f"image, x.flatten(0, 1), with labels y.repeat_interleave({n_channels}), and the volume "
        f"of each as subject id, torch.arange({len(images)}).repeat_interleave({n_channels})"
    ]


def check_shapes(folder: Path, train: torch.Tensor, test: torch.Tensor) -> None:
    """Raise InputError if the images (N, C, H, W) of train and test differ in shape."""
    train_shape = tuple(train.shape[1:])
    test_shape = tuple(test.shape[1:])
    if train_shape != test_shape:
        raise InputError(
            f"{folder}: images of {train_shape} in train and {test_shape} in test_data.pt"
        )


def check_scales(path: Path, train: torch.Tensor, test: torch.Tensor) -> None:
    """Raise InputError naming `path`, the file of `test`, if the scales are certainly different."""
    if get_number_kind(train) != get_number_kind(test):
        difference = f"pixels of {test.dtype}, but of {train.dtype}"
        raise InputError(explain_scales(path, difference))

    train_low, train_high = estimate_range(train)
    test_low, test_high = estimate_range(test)
    narrow, wide = sorted((train_high - train_low, test_high - test_low))
    if 0 < MAX_RANGE_RATIO * narrow < wide:
        test_range = f"{test_low:.4g} to {test_high:.4g}"
        train_range = f"{train_low:.4g} to {train_high:.4g}"
        raise InputError(explain_scales(path, f"pixels {test_range}, but {train_range}"))


def get_number_kind(images: torch.Tensor) -> str:
    """Return what the numbers mean: uint8 levels are read as shares, other integers are not."""
    if images.is_floating_point():
        return "float"
    if images.dtype == torch.uint8:
        return "uint8"
    return "integer"


def estimate_range(images: torch.Tensor) -> tuple[float, float]:
    """Return the median over some rows of their lowest pixel and of their highest pixel."""
    n_sampled = min(len(images), MAX_SAMPLED_ROWS)
    indices = np.linspace(0, len(images) - 1, n_sampled).astype(int)
    ranges = [torch.stack(images[index].resolve_neg().double().aminmax()) for index in indices]
    low, high = torch.stack(ranges).median(dim=0).values.tolist()
    return low, high


def explain_scales(path: Path, difference: str) -> str:
    return (
        f"{path}: {difference} in train_data.pt, expected one scale; save both as uint8 grey "
        "levels or both as float32, for example x / 255"
    )


def check_not_one_hot(path: Path, labels: torch.Tensor) -> None:
    """Raise InputError if each row of `labels` holds shares of classes, which sum to 1."""
    if labels.ndim != 2 or labels.shape[1] <= 1:
        return
    shares = labels.double()
    is_not_negative = (shares >= 0).all()
    sums_to_1 = ((shares.sum(dim=1) - 1).abs() < 1e-3).all()
    if is_not_negative and sums_to_1:
        raise InputError(
            f"{path}: {labels.dtype} of shape {tuple(labels.shape)} is one-hot, expected the "
            "class numbers; save x.float().argmax(1)"
        )


def check_one_label_per_image(path: Path, labels: torch.Tensor, images: torch.Tensor) -> None:
    """Raise InputError that says what `labels` are if they hold several values per image."""
    description = f"{path}: {labels.dtype} of shape {tuple(labels.shape)}"
    if labels.ndim > 2 and labels.shape[-2:] == images.shape[-2:]:
        raise InputError(
            f"{description} holds a label per pixel (segmentation masks), expected one class "
            "number per image; segmentation is not what these models do"
        )
    if labels.ndim != 2 or labels.shape[1] <= 1:
        return

    values = labels.double()
    flag_mask = (values == 0) | (values == 1) | (values == -1) | values.isnan()
    if flag_mask.all():
        raise InputError(
            f"{description} holds several labels per image (a column of 0 and 1 per label), "
            "expected one class number per image; save one column, such as y[:, 0].long(), and "
            "train a model for each label"
        )


def check_label_range(path: Path, labels: NDArray[np.int64], n_classes: int) -> None:
    """Raise InputError if a label (N,) is not one of 0 to `n_classes` - 1."""
    if labels.min() == 1 and labels.max() == n_classes:
        raise explain_label_start(path, 1)
    wrong_mask = (labels < 0) | (labels >= n_classes)
    if wrong_mask.any():
        row = int(wrong_mask.argmax())
        raise InputError(
            f"{path}: row {row} has the label {labels[row]}, expected 0 to {n_classes - 1}"
        )


def explain_label_start(path: Path, lowest: int) -> InputError:
    """Return the error for labels that start at `lowest`, not at 0."""
    return InputError(
        f"{path}: labels start at {lowest}; subtract {lowest} (expected 0 to K - 1 for K classes), "
        "or name one class more in classes.json"
    )


def list_colour_warnings(rows: AllRows, image_shape: Shape, classes: Sequence[str]) -> list[str]:
    """Return a warning if one class is grey and another one in colour, or nearly so.

    Rows whose channels are stored once are all grey, and cost no time.
    """
    n_channels, height, width = image_shape
    n_values = rows.parts[0].shape[1]
    if n_channels != N_COLOURS or n_values != n_channels * height * width:
        return []

    colour_masks = []
    for part in rows.parts:
        images = view_as_images(part, image_shape)
        for chunk in iterate_chunks(len(part), part[0].nbytes, "colours"):
            is_other = images[chunk, 1:] != images[chunk, :1]
            colour_masks.append(is_other.any(axis=(1, 2, 3)))
    colour_mask = np.concatenate(colour_masks)

    counts = KindCounts()
    for label in range(len(classes)):
        for value, mask in ((GREY, ~colour_mask), (COLOUR, colour_mask)):
            n_images = int(np.count_nonzero(mask & (rows.labels == label)))
            counts.add(label, {Property.COLOUR: value}, n_images)
    return counts.list_warnings(classes)


def check_finite(path: Path, values: NDArray[np.float32], first_row: int) -> None:
    """Raise InputError that names the row if a value is not finite.

    values: (n, ...), a part of the rows in `path`, which begins with row `first_row`.
    """
    finite_mask = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite_mask.all():
        raise InputError(
            f"{path}: row {first_row + finite_mask.argmin()} holds NaN, infinity or a number "
            "beyond float32's range of 3.4e38, expected finite pixels; rescale or remove that image"
        )


def list_order_warnings(path: Path, labels: NDArray[np.int64]) -> list[str]:
    """Return a warning if the training labels (N,) are sorted by class, or nearly so."""
    n_rows = len(labels)
    n_changes = int(np.count_nonzero(np.diff(labels)))

    class_shares = np.bincount(labels) / n_rows
    expected_changes = n_rows * (1 - (class_shares**2).sum())  # in random order
    if n_changes >= expected_changes * SORTED_SHARE:
        return []
    return [
        f"warning: {path}: rows are sorted by class, or nearly ({n_changes} changes of class in "
        f"{n_rows} rows), and training takes rows in stored order; shuffle them before you save, "
        "or set train.shuffle: true"
    ]
