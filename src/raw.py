"""A raw folder: four tensors, and what may stand beside them, checked before anything else runs."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from src.cli import InputError
from src.files import read_json, replacing, write_bytes

SPLITS = ("train", "test")
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


@dataclass(frozen=True)
class RawSplit:
    """One half of a raw folder: N rows of C x H x W pixels."""

    images: torch.Tensor  # (N, C, H, W) float32, memory-mapped; finiteness is not checked yet
    labels: NDArray[np.int64]  # (N,), 0 to K - 1
    subjects: NDArray[np.int64] | None  # (N,), whose image it is


@dataclass(frozen=True)
class Raw:
    train: RawSplit
    test: RawSplit
    classes: list[str]  # K names in label order


def save_tensor(path: Path, tensor: torch.Tensor) -> None:
    """`torch.save` to an open file: given a path, it would store the file's name in the bytes."""
    with replacing(path, tensor.nbytes) as partial, partial.open("wb") as file:
        torch.save(tensor, file)


def save_labels(
    folder: Path,
    classes: Sequence[str],
    labels: dict[str, NDArray[np.int64]],
    subjects: dict[str, NDArray[np.int64]] | None,
) -> None:
    """Write everything of a raw folder but the pixels: labels, class names, subjects if known."""
    names = json.dumps(list(classes), indent=2, ensure_ascii=False) + "\n"
    write_bytes(folder / "classes.json", names.encode())
    for split in SPLITS:
        save_tensor(folder / f"{split}_labels.pt", torch.from_numpy(labels[split]))
        if subjects is not None:
            save_tensor(folder / f"{split}_subjects.pt", torch.from_numpy(subjects[split]))


def read_raw(folder: Path) -> Raw:
    """Everything a raw folder holds, checked but for the pixels' values (see `check_pixels`).

    Raises InputError with the file, what was found and what was expected.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; expected the raw tensors there (param data.raw)"
        )
    halves = [(_images(folder, split), _labels(folder, split)) for split in SPLITS]
    (train, y_train), (test, y_test) = halves
    if train.shape[1:] != test.shape[1:]:
        raise InputError(
            f"{folder}: train_data.pt holds images of {_by(train.shape[1:])}, test_data.pt of "
            f"{_by(test.shape[1:])}; expected one shape (channels x height x width)"
        )
    classes = _classes(folder / "classes.json", y_train)
    for split, (images, labels) in zip(SPLITS, halves, strict=True):
        path = folder / f"{split}_labels.pt"
        if len(labels) != len(images):
            raise InputError(
                f"{path}: {len(labels)} labels for {len(images)} images, expected one an image"
            )
        if labels.min() < 0 or labels.max() >= len(classes):
            raise InputError(
                f"{path}: labels from {labels.min()} to {labels.max()}, expected 0 to "
                f"{len(classes) - 1} for the {len(classes)} classes"
            )
    subjects = [
        _subjects(folder, split, len(images))
        for split, (images, _) in zip(SPLITS, halves, strict=True)
    ]
    if (subjects[0] is None) != (subjects[1] is None):
        raise InputError(
            f"{folder}: one of train_subjects.pt and test_subjects.pt is missing, expected both "
            "or neither"
        )
    return Raw(RawSplit(train, y_train, subjects[0]), RawSplit(test, y_test, subjects[1]), classes)


def images_of(raw: Raw, rows: NDArray[np.int64]) -> torch.Tensor:
    """The images (n, C, H, W) of `rows` (n,), numbered through train and then test.

    Rows that follow each other in one file are a view of it, others a copy.
    """
    n_train = len(raw.train.images)
    first, last = int(rows[0]), int(rows[-1])
    if (np.diff(rows) == 1).all() and (last < n_train or first >= n_train):
        if last < n_train:
            return raw.train.images[first : last + 1]
        return raw.test.images[first - n_train : last + 1 - n_train]
    return torch.stack(
        [
            raw.train.images[row] if row < n_train else raw.test.images[row - n_train]
            for row in rows.tolist()
        ]
    )


def check_pixels(
    chunk: NDArray[np.float32], raw: Raw, rows: NDArray[np.int64], folder: Path
) -> None:
    """Raise InputError if an image of `chunk` (n, ...), which is those `rows`, is not finite."""
    finite = np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
    if not finite.all():
        row = int(rows[finite.argmin()])
        in_test = row >= len(raw.train.images)
        raise InputError(
            f"{folder / ('test_data.pt' if in_test else 'train_data.pt')}: row "
            f"{row - in_test * len(raw.train.images)} holds NaN or infinity, expected finite "
            "pixels; mend or drop that image"
        )


def read_tensor(path: Path) -> torch.Tensor:
    """The plain dense tensor that `torch.save` wrote to `path`, memory-mapped, on the CPU."""
    expected = "expected a tensor written by torch.save(tensor, path)"
    if not path.is_file():
        raise InputError(f"{path}: no such file, {expected}")
    try:
        # The format of PyTorch before 1.6 is no zip and can't be mapped.
        tensor = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except OSError:
        raise
    except Exception as error:  # random bytes can raise anything in torch.load
        reason = str(error).strip().split("\n")[0][:120]
        raise InputError(f"{path}: torch cannot read it ({reason}), {expected}") from None
    if not isinstance(tensor, torch.Tensor):
        raise InputError(f"{path}: holds a {type(tensor).__name__}, {expected}")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested or tensor.is_meta:
        kinds = {
            "quantised": tensor.is_quantized,
            "nested": tensor.is_nested,
            "meta": tensor.is_meta,
        }
        layout = str(tensor.layout).removeprefix("torch.")
        kind = next((kind for kind, found in kinds.items() if found), layout)
        raise InputError(f"{path}: holds a {kind} tensor, expected a dense one; x.to_dense()")
    return tensor.detach()


def _images(folder: Path, split: str) -> torch.Tensor:
    path = folder / f"{split}_data.pt"
    images = read_tensor(path)
    if images.dtype != torch.float32:
        raise InputError(
            f"{path}: pixels of {_dtype(images)}, expected float32; save images.float()"
        )
    if images.ndim != 4 or 0 in images.shape:
        raise InputError(
            f"{path}: shape {_by(images.shape) or '()'}, expected images x channels x height x "
            "width, none of them 0"
        )
    return images


def _labels(folder: Path, split: str) -> NDArray[np.int64]:
    path = folder / f"{split}_labels.pt"
    labels = read_tensor(path)
    if labels.dtype not in INTEGERS:
        raise InputError(f"{path}: labels of {_dtype(labels)}, expected int64; save labels.long()")
    if labels.ndim != 1 or not len(labels):
        raise InputError(
            f"{path}: shape {_by(labels.shape) or '()'}, expected one label an image (rank 1)"
        )
    return labels.long().numpy()


def _subjects(folder: Path, split: str, n_rows: int) -> NDArray[np.int64] | None:
    path = folder / f"{split}_subjects.pt"
    if not path.exists():
        return None
    subjects = read_tensor(path)
    if subjects.dtype != torch.int64 or subjects.shape != (n_rows,):
        raise InputError(
            f"{path}: {_dtype(subjects)} of shape {_by(subjects.shape) or '()'}, expected int64 "
            f"of shape {n_rows}, one id an image"
        )
    return subjects.numpy()


def _classes(path: Path, train_labels: NDArray[np.int64]) -> list[str]:
    if not path.exists():
        highest = int(train_labels.max())
        if highest >= len(train_labels):
            raise InputError(
                f"{path.with_name('train_labels.pt')}: label {highest} in {len(train_labels)} "
                "rows, expected labels from 0 without large gaps; name the classes in classes.json"
            )
        names = [str(label) for label in range(highest + 1)]
    else:
        names = read_json(path)
    if (
        not isinstance(names, list)
        or not all(isinstance(name, str) and name.strip() for name in names)
        or len(set(names)) != len(names)
    ):
        raise InputError(f"{path}: expected a JSON list of distinct class names in label order")
    if len(names) < 2:
        where = path if path.exists() else path.with_name("train_labels.pt")
        raise InputError(f"{where}: {len(names)} class, expected two or more to tell apart")
    return names


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
