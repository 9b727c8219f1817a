"""A raw folder: four tensors, and what may stand beside them, checked before anything else runs."""

import json
import pickle
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.types import Storage

from src.cli import InputError
from src.files import read_json, replacing, write_bytes

SPLITS = ("train", "test")
INTEGERS = (
    *(torch.int64, torch.int32, torch.int16, torch.int8),
    *(torch.uint64, torch.uint32, torch.uint16, torch.uint8),
)
PIXELS = (torch.float32, torch.float64, torch.float16, torch.bfloat16, *INTEGERS)
EXACT = (torch.float16, torch.bfloat16, torch.int16, torch.int8, torch.uint16, torch.uint8)


@dataclass(frozen=True)
class RawSplit:
    """One half of a raw folder: N rows of C x H x W pixels."""

    images: torch.Tensor  # (N, C, H, W) as saved, memory-mapped; see `images_of`
    labels: NDArray[np.int64]  # (N,), 0 to K - 1
    subjects: NDArray[np.int64] | None  # (N,), whose image it is


@dataclass(frozen=True)
class Raw:
    folder: Path
    train: RawSplit
    test: RawSplit
    classes: list[str]  # K names in label order
    notes: list[str]  # what was converted, one line a file


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
    """Everything a raw folder holds, checked but for the pixels' values (see `images_of`).

    What is unusual but harmless is taken, with a note. Raises InputError with the file, what was
    found and what was expected.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; expected the raw tensors there (param data.raw)"
        )
    notes: list[str] = []
    halves = [(_images(folder, split, notes), _labels(folder, split, notes)) for split in SPLITS]
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
        _subjects(folder, split, len(images), notes)
        for split, (images, _) in zip(SPLITS, halves, strict=True)
    ]
    if (subjects[0] is None) != (subjects[1] is None):
        raise InputError(
            f"{folder}: one of train_subjects.pt and test_subjects.pt is missing, expected both "
            "or neither"
        )
    return Raw(
        folder,
        RawSplit(train, y_train, subjects[0]),
        RawSplit(test, y_test, subjects[1]),
        classes,
        notes,
    )


def images_of(raw: Raw, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The images (n, C, H, W) of `rows` (n,), numbered through train and then test, as float32.

    Whole numbers stay as they are. Float32 rows that follow each other in one file are a view of
    it. InputError for a float64 beyond float32's range; NaN and infinity pass.
    """
    n_train = len(raw.train.images)
    first, last = int(rows[0]), int(rows[-1])
    if (np.diff(rows) == 1).all() and (last < n_train or first >= n_train):
        half, start = (raw.train, first) if last < n_train else (raw.test, first - n_train)
        images = half.images[start : start + len(rows)]
    else:
        picked = [
            raw.train.images[row] if row < n_train else raw.test.images[row - n_train]
            for row in rows.tolist()
        ]
        one_dtype = raw.train.images.dtype == raw.test.images.dtype
        images = torch.stack(picked if one_dtype else [image.double() for image in picked])
    pixels = images.resolve_neg().float()
    if images.dtype == torch.float64:
        lost = (pixels.isinf() & images.isfinite()).flatten(1).any(1).numpy()
        if lost.any():
            raise InputError(
                f"{_place(raw, rows[lost.argmax()])} holds a float64 beyond float32's range of "
                "3.4e38; rescale the pixels"
            )
    return pixels.numpy()


def check_pixels(chunk: NDArray[np.float32], raw: Raw, rows: NDArray[np.int64]) -> None:
    """Raise InputError if an image of `chunk` (n, ...), which is those `rows`, is not finite."""
    finite = np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{_place(raw, rows[finite.argmin()])} holds NaN or infinity, expected finite pixels; "
            "mend or drop that image"
        )


def _place(raw: Raw, row: int) -> str:
    """The file and its row that `row`, numbered through train and then test, is."""
    n_train = len(raw.train.images)
    name, row = ("train", row) if row < n_train else ("test", row - n_train)
    return f"{raw.folder / f'{name}_data.pt'}: row {row}"


def read_tensor(path: Path) -> tuple[torch.Tensor, list[str]]:
    """The dense tensor that `torch.save` wrote to `path`, memory-mapped, on the CPU.

    With it, what is unusual about it, yet harmless.
    """
    expected = "expected a tensor written by torch.save(tensor, path)"
    if not path.is_file():
        raise InputError(f"{path}: no such file, {expected}")
    devices = []

    def on_cpu(storage: Storage, device: str) -> Storage:
        devices.append(device)
        return storage

    try:
        in_zip = zipfile.is_zipfile(path)  # the format of PyTorch before 1.6 can't be mapped
        sizes = _sizes(path) if in_zip else []
        with warnings.catch_warnings(action="ignore"):  # of kinds of tensor that are refused below
            tensor = torch.load(path, map_location=on_cpu, weights_only=True, mmap=in_zip)
    except (InputError, OSError):
        raise
    except pickle.UnpicklingError:  # torch's text recommends to run the code
        raise InputError(f"{path}: damaged, or holds more than numbers, {expected}") from None
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
    stored = tensor.untyped_storage().nbytes()
    # torch maps that many bytes from where the record begins. Of a shorter one, the values would be
    # other bytes of the file.
    if in_zip and sizes != [stored]:
        raise InputError(f"{path}: a zip made or mended by another program, {expected}")
    if tensor.nbytes > max(2**30, 1000 * stored):
        raise InputError(
            f"{path}: {stored} stored bytes expanded to {tensor.nbytes}; save x.contiguous() if "
            "that is meant"
        )
    found = {
        f"saved on {', '.join(devices)}": devices != ["cpu"],
        "requires_grad": tensor.requires_grad,
        "not contiguous": not tensor.is_contiguous(),
    }
    return tensor.detach(), [what for what, is_so in found.items() if is_so]


def _sizes(path: Path) -> list[int]:
    """Bytes of the records of values in torch's zip, which compresses nothing."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(
        m.compress_type != zipfile.ZIP_STORED or m.compress_size != m.file_size for m in members
    ):
        raise InputError(
            f"{path}: a compressed zip, expected a tensor written by torch.save(tensor, path)"
        )
    return [member.file_size for member in members if "/data/" in member.filename]


def _images(folder: Path, split: str, notes: list[str]) -> torch.Tensor:
    path = folder / f"{split}_data.pt"
    images, unusual = read_tensor(path)
    if images.dtype not in PIXELS:
        raise InputError(
            f"{path}: pixels of {_dtype(images)}, expected float32; save images.float()"
        )
    if images.ndim != 4 or 0 in images.shape:
        raise InputError(
            f"{path}: shape {_by(images.shape) or '()'}, expected images x channels x height x "
            "width, none of them 0"
        )
    if images.dtype != torch.float32:
        unusual.insert(0, _dtype(images))
    taken = "as float32" + (", a grey level k as k, not k/255" if images.dtype in INTEGERS else "")
    if images.dtype not in (torch.float32, *EXACT):
        taken += ", rounded"
    _note(notes, path, unusual, taken)
    return images


def _labels(folder: Path, split: str, notes: list[str]) -> NDArray[np.int64]:
    path = folder / f"{split}_labels.pt"
    labels = _whole_numbers(path, "label", notes)
    if not len(labels):
        raise InputError(f"{path}: no labels, expected one an image")
    return labels


def _subjects(folder: Path, split: str, n_rows: int, notes: list[str]) -> NDArray[np.int64] | None:
    path = folder / f"{split}_subjects.pt"
    if not _is_there(path):
        return None
    subjects = _whole_numbers(path, "subject", notes)
    if len(subjects) != n_rows:
        raise InputError(
            f"{path}: {len(subjects)} subjects for {n_rows} images, expected one an image"
        )
    return subjects


def _whole_numbers(path: Path, what: str, notes: list[str]) -> NDArray[np.int64]:
    """One number a row: integers of any size, (N,) or (N, 1)."""
    numbers, unusual = read_tensor(path)
    if numbers.dtype not in INTEGERS:
        raise InputError(
            f"{path}: {what}s of {_dtype(numbers)}, expected int64; save {what}s.long()"
        )
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        unusual.insert(0, f"shape {_by(numbers.shape)}")
        numbers = numbers[:, 0]
    if numbers.ndim != 1:
        raise InputError(
            f"{path}: shape {_by(numbers.shape) or '()'}, expected one {what} an image (rank 1)"
        )
    _note(notes, path, unusual, f"as one {what} an image")
    return numbers.to(torch.int64, copy=True).numpy()


def _note(notes: list[str], path: Path, unusual: list[str], taken: str) -> None:
    if unusual:
        notes.append(f"{path}: {', '.join(unusual)}; taken {taken}")


def _classes(path: Path, train_labels: NDArray[np.int64]) -> list[str]:
    if not _is_there(path):
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
        or not all(isinstance(n, str) and n.strip() and n.isprintable() for n in names)
        or len(set(names)) != len(names)
    ):
        raise InputError(
            f"{path}: expected a JSON list of distinct class names, printable, in label order"
        )
    if len(names) < 2:
        where = path if _is_there(path) else path.with_name("train_labels.pt")
        raise InputError(f"{where}: {len(names)} class, expected two or more to tell apart")
    return names


def _is_there(path: Path) -> bool:
    """Whether an optional file is meant to be there: a link to nothing is, and then an error."""
    return path.exists() or path.is_symlink()


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
