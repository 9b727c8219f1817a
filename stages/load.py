"""Check the raw tensors and write them as rows, in the smallest format that gives them back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src import paths
from src.cli import InputError, run
from src.data.raw_tensors import Raw, check_pixels, conversions, images_of, read_raw
from src.data.splits import absent_classes, fold_of_rows
from src.params import Data, read_params
from src.plotting.slices import slice_figure
from src.plotting.style import save_png
from src.storage import arrays
from src.storage.arrays import FormatError, StorageFormat, write_array
from src.storage.dataset import load_split, read_info
from src.storage.files import replacing, write_json


def main() -> None:
    data = read_params().data
    raw = read_raw(Path(data.raw))
    for note in conversions(raw):
        print(f"note: {note}")
    rows, scored = split_rows(raw, data)
    counts = {
        split: np.bincount(raw.labels[chosen], minlength=len(raw.classes)).tolist()
        for split, chosen in rows.items()
    }
    for name, n_rows in zip(raw.classes, counts["train"], strict=True):
        if not n_rows:
            print(f"note: no training row is of class {name}; no model can learn it")
    with replacing(paths.FLAT) as folder:
        folder.mkdir()
        stored = write_smallest(folder, raw, rows)
        for kind, numbers in (("y", raw.labels), ("subjects", raw.subjects)):
            if numbers is not None:
                for split, chosen in rows.items():
                    path = folder / f"{kind}_{split}.npy"
                    write_array(path, chosen.shape, np.int64, [numbers[chosen]])
        info = {
            "image_shape": list(raw.images["train"].shape[1:]), "classes": raw.classes,
            "scored": scored, "counts": counts, "stored": stored._asdict(),
        }  # fmt: skip
        write_json(folder / paths.INFO.name, info)
    train = load_split("train", read_info(), scaled=False)
    save_png(paths.SAMPLE_FIGURE, slice_figure(train.images, train.labels, raw.classes))


def split_rows(raw: Raw, data: Data) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """Return the rows of train and of test, and the classes to score."""
    y = raw.labels
    if data.split == "given":
        train, test = np.split(np.arange(len(y)), [len(raw.images["train"])])
        return {"train": train, "test": test}, [raw.classes[label] for label in np.unique(y[test])]
    ids = raw.subjects if data.split == "subject" else None
    if data.split == "subject" and ids is None:
        raise InputError(
            f"params.yaml: data.split is subject, but {data.raw} has no subject ids, expected "
            "train_subjects.pt and test_subjects.pt there, or another split"
        )
    fold = fold_of_rows(y, ids, data.folds, data.seed)
    absent = absent_classes(y, fold, raw.classes)
    for name in absent:
        print(
            f"warning: not each of {data.folds} folds has rows of class {name} in train and test; "
            "balanced_accuracy and macro_f1 leave it out in every fold"
        )
    order = np.random.default_rng(data.seed)  # batches are rows in stored order
    rows = {
        "train": order.permutation(np.flatnonzero(fold != data.fold)),
        "test": order.permutation(np.flatnonzero(fold == data.fold)),
    }
    return rows, [name for name in raw.classes if name not in absent]


def write_smallest(folder: Path, raw: Raw, rows: dict[str, NDArray[np.int64]]) -> StorageFormat:
    """Write the images of train and test in the smallest format that fits them all; return it."""
    channels, height, width = raw.images["train"].shape[1:]
    for stored in arrays.storage_formats(channels):
        try:
            for split, chosen in rows.items():
                shape = (len(chosen), stored.channels * height * width)
                chunks = stored_chunks(raw, chosen, stored, f"load {split}")
                write_array(folder / f"x_{split}.npy", shape, stored.dtype, chunks)
        except FormatError:
            continue
        break
    return stored


def stored_chunks(
    raw: Raw, rows: NDArray[np.int64], stored: StorageFormat, label: str
) -> Iterator[NDArray[Any]]:
    """Yield the images of `rows` to store, in chunks (n, D); FormatError, InputError."""
    for part in arrays.row_slices(len(rows), 4 * raw.images["train"][0].numel(), label):
        chunk = images_of(raw, rows[part])
        if stored.dtype == "float32":  # others are refused by `stored_rows` if not finite
            check_pixels(chunk, raw, rows[part])
        yield arrays.stored_rows(chunk, stored)


if __name__ == "__main__":
    run(main)
