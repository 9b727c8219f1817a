"""A raw folder: images and labels as tensors, and class names and subject ids where they are known.

Its files may come from anywhere: they are read as data, never as code, and checked before use.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from src.cli import InputError
from src.data import checks
from src.data.tensor_file import read_tensor
from src.storage.arrays import pixels
from src.storage.dataset import SPLITS
from src.storage.files import replacing, write_bytes

INTEGERS = (
    *(torch.int64, torch.int32, torch.int16, torch.int8),
    *(torch.uint64, torch.uint32, torch.uint16, torch.uint8),
)
PIXELS = (torch.float32, torch.float64, torch.float16, torch.bfloat16, *INTEGERS)
BySplit = Mapping[str, NDArray[np.int64]]


class Raw(NamedTuple):
    """The content of a raw folder; rows are numbered through train and then test."""

    folder: Path
    images: dict[str, torch.Tensor]  # of train and test (N, C, H, W), memory-mapped, as saved
    labels: NDArray[np.int64]  # of all rows, 0 to K - 1
    subjects: NDArray[np.int64] | None  # of all rows; None where they are unknown
    classes: list[str]  # K names in label order
    notes: list[str]  # lines on what was converted, and on what is likely a mistake

    def place(self, row: int, kind: str) -> str:
        """Return the file of this kind that holds `row`, and the row's number in it."""
        n_train = len(self.images["train"])
        split, row = ("train", row) if row < n_train else ("test", row - n_train)
        return f"{self.folder / f'{split}_{kind}.pt'}: row {row}"


def read_raw(folder: Path) -> Raw:
    """Return the content of `folder`, checked except for the pixels' values (`check_pixels`)."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected the raw tensors (param data.raw)")
    notes: list[str] = []
    images = {split: _images(folder / f"{split}_data.pt", notes) for split in SPLITS}
    labels, subjects = _numbers(folder, "labels", images, notes), None
    if any(os.path.lexists(folder / f"{split}_subjects.pt") for split in SPLITS):
        subjects = _numbers(folder, "subjects", images, notes)
    train_labels = labels[: len(images["train"])]
    raw = Raw(folder, images, labels, subjects, _classes(folder, train_labels), notes)
    _check_together(raw)
    checks.scales(folder / "test_data.pt", images["train"], images["test"])
    notes += checks.order_warnings(folder / "train_labels.pt", train_labels)
    return raw


def images_of(raw: Raw, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the images (n, C, H, W) of `rows` (n,) as float32; uint8 levels k become k/255.

    Float32 rows that follow each other in one file are a view of it.
    """
    n_train, first, last = len(raw.images["train"]), int(rows[0]), int(rows[-1])
    if (np.diff(rows) != 1).any() or first < n_train <= last:
        return np.concatenate([images_of(raw, row) for row in np.split(rows, len(rows))])
    split, start = ("train", first) if last < n_train else ("test", first - n_train)
    images = raw.images[split][start : start + len(rows)].resolve_neg()
    return pixels(images.numpy()) if images.dtype == torch.uint8 else images.float().numpy()


def check_pixels(chunk: NDArray[np.float32], raw: Raw, rows: NDArray[np.int64]) -> None:
    """Raise InputError if an image of `chunk` (n, ...), the images of `rows`, is not finite."""
    finite = np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{raw.place(rows[finite.argmin()], 'data')} holds NaN, infinity or a number beyond "
            "float32's range of 3.4e38, expected finite pixels; rescale or remove that image"
        )


def save_tensor(path: Path, tensor: torch.Tensor) -> None:
    """Write `tensor` with torch.save; to an open file, as a path's name would be in the bytes."""
    with replacing(path, tensor.nbytes) as partial, partial.open("wb") as file:
        torch.save(tensor, file)


def save_labels(
    folder: Path, classes: Sequence[str], labels: BySplit, subjects: BySplit | None
) -> None:
    """Write a raw folder's class names, labels, and subject ids if known, each by split."""
    names = json.dumps(list(classes), indent=2, ensure_ascii=False) + "\n"
    write_bytes(folder / "classes.json", names.encode())
    for split in SPLITS:
        save_tensor(folder / f"{split}_labels.pt", torch.from_numpy(labels[split]))
        if subjects is not None:
            save_tensor(folder / f"{split}_subjects.pt", torch.from_numpy(subjects[split]))


def _images(path: Path, notes: list[str]) -> torch.Tensor:
    images = read_tensor(path)
    if images.ndim == 3:
        notes.append(f"note: {path}: {tuple(images.shape)} is read as images of one channel")
        images = images[:, None]
    if images.dtype not in PIXELS or images.ndim != 4 or 0 in images.shape:
        raise InputError(
            f"{path}: {images.dtype} of shape {tuple(images.shape)}, expected float32 of shape "
            "(images, channels, height, width), none of them 0"
        )
    checks.axes(path, images)
    if images.dtype == torch.uint8:
        notes.append(f"note: {path}: grey levels k of uint8 are read as k/255")
    elif images.dtype != torch.float32:
        level = ", a grey level k as k, not k/255" if images.dtype in INTEGERS else ""
        notes.append(f"note: {path}: pixels of {images.dtype} are read as float32{level}")
    return images


def _numbers(
    folder: Path, kind: str, images: Mapping[str, torch.Tensor], notes: list[str]
) -> NDArray[np.int64]:
    """Return the labels or subjects of all rows, saved as integers of any size, (N,) or (N, 1)."""
    found = []
    for split in SPLITS:
        path, n_rows = folder / f"{split}_{kind}.pt", len(images[split])
        numbers = read_tensor(path)
        if kind == "labels" and numbers.dtype in (*PIXELS, torch.bool):
            numbers = _label_numbers(path, numbers, notes)
        if numbers.dtype not in INTEGERS or numbers.shape not in ((n_rows,), (n_rows, 1)):
            found_here = f"{numbers.dtype} of shape {tuple(numbers.shape)}"
            raise InputError(f"{path}: {found_here}, expected whole numbers of shape ({n_rows},)")
        found.append(numbers.flatten().resolve_neg().to(torch.int64).numpy())
    return np.concatenate(found)


def _label_numbers(path: Path, labels: torch.Tensor, notes: list[str]) -> torch.Tensor:
    """Return labels as integers, if they are whole numbers."""
    checks.not_one_hot(path, labels)
    whole = labels.to(torch.int64)
    if labels.is_floating_point() and (whole == labels).all():
        notes.append(f"note: {path}: labels of {labels.dtype} are read as whole numbers")
        return whole
    return labels


def _classes(folder: Path, train_labels: NDArray[np.int64]) -> list[str]:
    path = folder / "classes.json"
    if not os.path.lexists(path):  # a broken link is meant to be something, and is an error
        lowest, highest = int(train_labels.min()), int(train_labels.max())
        if lowest >= 1:
            raise checks.late_start(folder / "train_labels.pt", lowest)
        if not 1 <= highest < len(train_labels):
            raise InputError(
                f"{folder / 'train_labels.pt'}: labels up to {highest} in {len(train_labels)} rows,"
                " expected two or more classes without large gaps; name them in classes.json"
            )
        return [str(label) for label in range(highest + 1)]
    try:
        names = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        names = None
    if (
        not isinstance(names, list)
        or not all(isinstance(name, str) and name.strip() and name.isprintable() for name in names)
        or not len(set(names)) == len(names) >= 2
    ):
        raise InputError(
            f"{path}: expected a JSON list of two or more distinct printable names in label order"
        )
    return names


def _check_together(raw: Raw) -> None:
    """Raise InputError if the files of a raw folder do not fit each other."""
    train, test = (tuple(raw.images[split].shape[1:]) for split in SPLITS)
    if train != test:
        raise InputError(f"{raw.folder}: images of {train} in train and {test} in test_data.pt")
    for split, labels in zip(SPLITS, np.split(raw.labels, [len(raw.images["train"])]), strict=True):
        if labels.min() == 1 and labels.max() == len(raw.classes):
            raise checks.late_start(raw.folder / f"{split}_labels.pt", 1)
    known = (raw.labels >= 0) & (raw.labels < len(raw.classes))
    if not known.all():
        row = int(known.argmin())
        raise InputError(
            f"{raw.place(row, 'labels')} has the label {raw.labels[row]}, expected 0 to "
            f"{len(raw.classes) - 1}, the last of the {len(raw.classes)} classes"
        )
