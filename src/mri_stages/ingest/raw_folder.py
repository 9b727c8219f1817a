"""Read and write a raw folder: images and labels as tensors, class names and subject ids if known.

Checks that need several values lie in checks.py.
"""

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

SIGNED_TYPES = (torch.int64, torch.int32, torch.int16, torch.int8)
UNSIGNED_TYPES = (torch.uint64, torch.uint32, torch.uint16, torch.uint8)
INTEGER_TYPES = (*SIGNED_TYPES, *UNSIGNED_TYPES)
FLOAT_TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
PIXEL_TYPES = (*FLOAT_TYPES, *INTEGER_TYPES)

SplitIntegers = dict[str, NDArray[np.int64]]  # by split, numbers of its rows (N,)


class Raw(NamedTuple):
    """The content of a raw folder, by split where it has rows."""

    images: dict[str, torch.Tensor]  # (N, C, H, W), memory-mapped, as saved
    labels: SplitIntegers  # (N,), 0 to K - 1
    subjects: SplitIntegers  # (N,); empty where they are unknown
    classes: list[str]  # K names in label order
    notes: list[str]  # lines on what was converted, and on what is likely a mistake


def read_raw(folder: Path) -> Raw:
    """Return the content of `folder`, checked except for the values of the pixels.

    `to_float_images` checks these.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected the raw tensors (param data.raw)")

    notes: list[str] = []
    images = {split: read_images(folder / f"{split}_data.pt", notes) for split in SPLITS}
    labels = read_labels(folder, images, notes)
    subjects = read_subjects(folder, images)
    classes = read_classes(folder, labels["train"])

    checks.check_shapes(folder, images["train"], images["test"])
    notes += checks.list_channel_notes(folder / "train_data.pt", images["train"])
    for split in SPLITS:
        checks.check_label_range(folder / f"{split}_labels.pt", labels[split], len(classes))
    checks.check_scales(folder / "test_data.pt", images["train"], images["test"])
    notes += checks.list_order_warnings(folder / "train_labels.pt", labels["train"])
    return Raw(images, labels, subjects, classes, notes)


def read_images(path: Path, notes: list[str]) -> torch.Tensor:
    """Return the images (N, C, H, W) at `path`, as saved; add to `notes` how they are read."""
    images = read_tensor(path)
    if images.ndim == 3:
        notes.append(f"note: {path}: {tuple(images.shape)} is read as images of one channel")
        images = images[:, None]
    if images.dtype not in PIXEL_TYPES or images.ndim != 4 or 0 in images.shape:
        raise InputError(
            f"{path}: {images.dtype} of shape {tuple(images.shape)}, expected float32 of shape "
            "(images, channels, height, width), none of them 0"
        )
    checks.check_axes(path, images)
    notes += describe_pixel_type(path, images.dtype)
    return images


def describe_pixel_type(path: Path, dtype: torch.dtype) -> list[str]:
    """Return a note on how pixels of this type become float32, none for float32 itself."""
    if dtype == torch.float32:
        return []
    if dtype == torch.uint8:
        return [f"note: {path}: grey levels k of uint8 are read as k/255"]
    note = f"note: {path}: pixels of {dtype} are read as float32"
    if dtype in INTEGER_TYPES:
        note += ", a grey level k as k, not k/255"
    return [note]


def read_labels(folder: Path, images: dict[str, torch.Tensor], notes: list[str]) -> SplitIntegers:
    """Return the labels by split; add to `notes` which are saved as floats."""
    labels = {}
    for split in SPLITS:
        path = folder / f"{split}_labels.pt"
        tensor = read_tensor(path)
        if tensor.dtype in (*PIXEL_TYPES, torch.bool):
            checks.check_not_one_hot(path, tensor)
            checks.check_one_label_per_image(path, tensor, images[split])
            if is_whole(tensor):
                notes.append(f"note: {path}: labels of {tensor.dtype} are read as whole numbers")
                tensor = tensor.to(torch.int64)
        labels[split] = to_row_integers(path, tensor, len(images[split]))
    return labels


def is_whole(numbers: torch.Tensor) -> bool:
    """Return whether all of these floats are whole numbers that int64 can hold."""
    return numbers.is_floating_point() and bool((numbers.to(torch.int64) == numbers).all())


def read_subjects(folder: Path, images: dict[str, torch.Tensor]) -> SplitIntegers:
    """Return the subject ids by split, or nothing if no split has any."""
    paths = {split: folder / f"{split}_subjects.pt" for split in SPLITS}
    # A broken link is meant to be something, so it counts as a file and is an error.
    existing_paths = [path for path in paths.values() if os.path.lexists(path)]
    if not existing_paths:
        return {}
    for path in paths.values():
        if path not in existing_paths:
            raise InputError(
                f"{path}: no such file, but {existing_paths[0].name} is there; expected subject "
                "ids of both splits, or of neither"
            )
    return {
        split: to_row_integers(path, read_tensor(path), len(images[split]))
        for split, path in paths.items()
    }


def to_row_integers(path: Path, tensor: torch.Tensor, n_rows: int) -> NDArray[np.int64]:
    """Return integers of any size, (N,) or (N, 1), as int64 (N,); InputError for anything else."""
    if tensor.dtype not in INTEGER_TYPES or tensor.shape not in ((n_rows,), (n_rows, 1)):
        raise InputError(
            f"{path}: {tensor.dtype} of shape {tuple(tensor.shape)}, expected whole numbers "
            f"of shape ({n_rows},)"
        )
    integers: NDArray[np.int64] = tensor.flatten().resolve_neg().to(torch.int64).numpy()
    return integers


def read_classes(folder: Path, train_labels: NDArray[np.int64]) -> list[str]:
    """Return the class names of classes.json, or the labels as text if there is no such file."""
    path = folder / "classes.json"
    # A broken link is meant to be something, so it is read, which is an error.
    if not os.path.lexists(path):
        return name_classes_by_label(folder / "train_labels.pt", train_labels)
    try:
        names = TypeAdapter(list[str]).validate_json(path.read_bytes())
    except ValueError:
        names = []  # which is refused below

    is_printable = all(name.strip() and name.isprintable() for name in names)
    is_distinct = len(set(names)) == len(names)
    if not is_printable or not is_distinct or len(names) < 2:
        raise InputError(
            f"{path}: expected a JSON list of two or more distinct printable names in label order"
        )
    return names


def name_classes_by_label(path: Path, train_labels: NDArray[np.int64]) -> list[str]:
    """Return "0", "1" and so on, up to the highest training label; `path` is the labels' file."""
    lowest = int(train_labels.min())
    highest = int(train_labels.max())
    if lowest >= 1:
        raise checks.explain_label_start(path, lowest)
    if not 1 <= highest < len(train_labels):
        raise InputError(
            f"{path}: labels from {lowest} to {highest} in {len(train_labels)} rows,"
            " expected two or more classes without large gaps; name them in classes.json"
        )
    return [str(label) for label in range(highest + 1)]


def to_float_images(images: torch.Tensor, path: Path, first_row: int = 0) -> NDArray[np.float32]:
    """Return images (n, ...) as float32; uint8 levels k become k/255, float32 ones are a view.

    `first_row` is the row of the first image in `path`. Raise InputError that names the row of an
    image that is not finite.
    """
    images = images.resolve_neg()
    if images.dtype == torch.uint8:
        return to_pixels(images.numpy())
    values: NDArray[np.float32] = images.float().numpy()
    checks.check_finite(path, values, first_row)
    return values


def save_tensor(path: Path, tensor: torch.Tensor) -> None:
    """Write `tensor` with torch.save."""
    with write_atomically(path, tensor.nbytes) as partial, partial.open("wb") as file:
        torch.save(tensor, file)  # to an open file: the stem of a path would be in the bytes


def save_labels(
    folder: Path, classes: Sequence[str], labels: SplitIntegers, subjects: SplitIntegers
) -> None:
    """Write a raw folder's class names, labels, and subject ids if known, each by split."""
    names = json.dumps(list(classes), indent=2, ensure_ascii=False) + "\n"
    write_bytes(folder / "classes.json", names.encode())
    for split, integers in labels.items():
        save_tensor(folder / f"{split}_labels.pt", torch.from_numpy(integers))
    for split, integers in subjects.items():
        save_tensor(folder / f"{split}_subjects.pt", torch.from_numpy(integers))
