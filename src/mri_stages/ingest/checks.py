"""Faults of a raw folder that would train without an error, and score wrongly.

What is certain is refused here. What is only likely is a warning, here and in the stage `scale`.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mri_stages.errors import InputError

# Of the typical ranges of train and test: 1.5 was the most for data of one kind, and shares are 255
# times as narrow as grey levels.
MAX_RATIO = 100


def axes(path: Path, images: torch.Tensor) -> None:
    """Raise InputError if `images`, of four axes, have their channels last."""
    if images.shape[3] <= 4 < min(images.shape[1:3]):
        raise InputError(
            f"{path}: shape {tuple(images.shape)} is N x H x W x C, expected N x C x H x W; save "
            "x.permute(0, 3, 1, 2)"
        )


def scales(path: Path, train: torch.Tensor, test: torch.Tensor) -> None:
    """Raise InputError naming `path`, the file of `test`, if the scales are certainly different."""
    (low, high), (test_low, test_high) = _typical_range(train), _typical_range(test)
    narrow, wide = sorted((high - low, test_high - test_low))
    kinds = [(x.is_floating_point(), x.dtype == torch.uint8) for x in (train, test)]
    if kinds[0] != kinds[1]:
        found = f"pixels of {test.dtype}, but of {train.dtype}"
    elif 0 < MAX_RATIO * narrow < wide:
        found = f"pixels {test_low:.4g} to {test_high:.4g}, but {low:.4g} to {high:.4g}"
    else:
        return
    raise InputError(
        f"{path}: {found} in train_data.pt, expected one scale; save both as uint8 grey levels "
        "or both as float32, for example x / 255"
    )


def _typical_range(images: torch.Tensor) -> list[float]:
    """Return the median over at most 50 rows of their lowest and of their highest pixel."""
    rows = np.linspace(0, len(images) - 1, min(len(images), 50)).astype(int)
    ends = [torch.stack(images[row].resolve_neg().double().aminmax()) for row in rows]
    return torch.stack(ends).median(dim=0).values.tolist()


def not_one_hot(path: Path, labels: torch.Tensor) -> None:
    """Raise InputError if each row of `labels` holds shares of classes, which sum to 1."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        shares = labels.double()
        if (shares >= 0).all() and ((shares.sum(dim=1) - 1).abs() < 1e-3).all():
            raise InputError(
                f"{path}: {labels.dtype} of shape {tuple(labels.shape)} is one-hot, expected the "
                "class numbers; save x.float().argmax(1)"
            )


def late_start(path: Path, lowest: int) -> InputError:
    """Return the error for labels that do not start at 0."""
    return InputError(
        f"{path}: labels start at {lowest}; subtract {lowest} (expected 0 to K - 1 for K classes), "
        "or name one class more in classes.json"
    )


def order_warnings(path: Path, labels: NDArray[np.int64]) -> list[str]:
    """Return a warning if the training labels (N,) are sorted by class, or nearly so."""
    n_rows, changes = len(labels), np.count_nonzero(np.diff(labels))
    expected = n_rows * (1 - ((np.bincount(labels) / n_rows) ** 2).sum())  # in random order
    text = (
        f"warning: {path}: rows are sorted by class, or nearly ({changes} changes of class in "
        f"{n_rows} rows), and training takes rows in stored order; shuffle them before you save, "
        "or set train.shuffle: true"
    )
    return [text] if changes < expected / 5 else []
