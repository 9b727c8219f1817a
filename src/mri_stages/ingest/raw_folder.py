"""A raw folder: images and labels as tensors, class names and subject ids where they are known."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from mri_stages.errors import InputError
from mri_stages.ingest import checks
from mri_stages.ingest.tensor_file import read_tensor
from mri_stages.storage.arrays import to_pixels
from mri_stages.storage.dataset import SPLITS
from mri_stages.storage.files import write_atomically, write_bytes

SIGNED = (torch.int64, torch.int32, torch.int16, torch.int8)
INTEGERS = (*SIGNED, torch.uint64, torch.uint32, torch.uint16, torch.uint8)
PIXELS = (torch.float32, torch.float64, torch.float16, torch.bfloat16, *INTEGERS)
BySplit = dict[str, NDArray[np.int64]]


class Raw(NamedTuple):
    """The content of a raw folder: of train and test, and the names of the classes."""

    images: dict[str, torch.Tensor]  # (N, C, H, W), memory-mapped, as saved
    labels: BySplit  # (N,), 0 to K - 1
    subjects: BySplit  # (N,); empty where they are unknown
    classes: list[str]  # K names in label order
    notes: list[str]  # lines on what was converted, and on what is likely a mistake


def read_raw(folder: Path) -> Raw:
    """Return the content of `folder`, checked except for the pixels' values (`float_images`)."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected the raw tensors (param data.raw)")
    notes: list[str] = []
    images = {split: read_images(folder / f"{split}_data.pt", notes) for split in SPLITS}
    labels, subjects = _numbers(folder, "labels", images, notes), {}
    if any(os.path.lexists(folder / f"{split}_subjects.pt") for split in SPLITS):
        subjects = _numbers(folder, "subjects", images, notes)
    raw = Raw(images, labels, subjects, _classes(folder, labels["train"]), notes)
    _check_together(folder, raw)
    notes += checks.order_warnings(folder / "train_labels.pt", labels["train"])
    return raw


def to_float_images(images: torch.Tensor, path: Path, first: int = 0) -> NDArray[np.float32]:
    """Return images (n, ...) as float32; uint8 levels k become k/255, float32 ones are a view.

    InputError that names `path` and the row, of which the first is `first`, if one is not finite.
    """
    images = images.resolve_neg()
    if images.dtype == torch.uint8:
        return to_pixels(images.numpy())
    values: NDArray[np.float32] = images.float().numpy()
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{path}: row {first + finite.argmin()} holds NaN, infinity or a number beyond "
            "float32's range of 3.4e38, expected finite pixels; rescale or remove that image"
        )
    return values


def save_tensor(path: Path, tensor: torch.Tensor) -> None:
    """Write `tensor` with torch.save; to an open file, as a path's name would be in the bytes."""
    with write_atomically(path, tensor.nbytes) as partial, partial.open("wb") as file:
        torch.save(tensor, file)


def save_labels(folder: Path, classes: Sequence[str], labels: BySplit, subjects: BySplit) -> None:
    """Write a raw folder's class names, labels, and subject ids if known, each by split."""
    names = json.dumps(list(classes), indent=2, ensure_ascii=False) + "\n"
    write_bytes(folder / "classes.json", names.encode())
    for kind, by_split in (("labels", labels), ("subjects", subjects)):
        for split, numbers in by_split.items():
            save_tensor(folder / f"{split}_{kind}.pt", torch.from_numpy(numbers))


def read_images(path: Path, notes: list[str]) -> torch.Tensor:
    """Return the images (N, C, H, W) at `path`, as saved; add to `notes` how they are read."""
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


def _numbers(folder: Path, kind: str, images: dict[str, torch.Tensor], notes: list[str]) -> BySplit:
    """Return the labels or subjects by split, saved as integers of any size, (N,) or (N, 1)."""
    found = {}
    for split in SPLITS:
        path, n_rows = folder / f"{split}_{kind}.pt", len(images[split])
        numbers = read_tensor(path)
        if kind == "labels" and numbers.dtype in (*PIXELS, torch.bool):
            checks.not_one_hot(path, numbers)
            whole = numbers.to(torch.int64)
            if numbers.is_floating_point() and (whole == numbers).all():
                notes.append(f"note: {path}: labels of {numbers.dtype} are read as whole numbers")
                numbers = whole
        if numbers.dtype not in INTEGERS or numbers.shape not in ((n_rows,), (n_rows, 1)):
            raise InputError(
                f"{path}: {numbers.dtype} of shape {tuple(numbers.shape)}, expected whole numbers "
                f"of shape ({n_rows},)"
            )
        found[split] = numbers.flatten().resolve_neg().to(torch.int64).numpy()
    return found


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
        names = TypeAdapter(list[str]).validate_json(path.read_bytes())
    except ValueError:
        names = []  # which is refused below
    printable = all(name.strip() and name.isprintable() for name in names)
    if not printable or not len(set(names)) == len(names) >= 2:
        raise InputError(
            f"{path}: expected a JSON list of two or more distinct printable names in label order"
        )
    return names


def _check_together(folder: Path, raw: Raw) -> None:
    """Raise InputError if the files of a raw folder do not fit each other."""
    n_classes = len(raw.classes)
    train, test = (tuple(raw.images[split].shape[1:]) for split in SPLITS)
    if train != test:
        raise InputError(f"{folder}: images of {train} in train and {test} in test_data.pt")
    for split, labels in raw.labels.items():
        path = folder / f"{split}_labels.pt"
        if labels.min() == 1 and labels.max() == n_classes:
            raise checks.late_start(path, 1)
        wrong = (labels < 0) | (labels >= n_classes)
        if wrong.any():
            row = int(wrong.argmax())
            raise InputError(
                f"{path}: row {row} has the label {labels[row]}, expected 0 to {n_classes - 1}"
            )
    checks.scales(folder / "test_data.pt", raw.images["train"], raw.images["test"])
