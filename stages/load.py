"""The raw folder, checked, split and flattened: a row an image, stored once what is there once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.arrays import Form, FormError, forms, read_images, row_slices, stored_rows, write_array
from src.cli import InputError, run
from src.files import replacing
from src.meta import Meta, write_meta
from src.params import Data, read_params
from src.png import save_png
from src.raw import Raw, check_pixels, images_of, read_raw
from src.slice_figure import slice_figure
from src.splits import absent_classes, fold_of_rows

OUT = Path("data/flat")
FIGURE = Path("plots/sample.png")


def main() -> None:
    data = read_params().data
    raw = read_raw(Path(data.raw))
    for note in raw.notes:
        print(f"note: {note}")
    y, subjects = labels_and_subjects(raw)
    rows, scored = split_rows(raw, data)
    channels, height, width = raw.train.images.shape[1:]
    meta = Meta((channels, height, width), raw.classes, scored)
    with replacing(OUT) as folder:
        folder.mkdir()
        form = write_smallest(folder, raw, rows)
        counts = {}
        for split, chosen in rows.items():
            write_array(folder / f"y_{split}.npy", chosen.shape, np.int64, [y[chosen]])
            if subjects is not None:
                path = folder / f"subjects_{split}.npy"
                write_array(path, chosen.shape, np.int64, [subjects[chosen]])
            counts[split] = np.bincount(y[chosen], minlength=len(raw.classes)).tolist()
        write_meta(folder / "meta.json", meta, counts, form)
    for name, n_rows in zip(raw.classes, counts["train"], strict=True):
        if not n_rows:
            print(f"note: no training row is of class {name}; no model can learn it")
    images = read_images(OUT / "x_train.npy", meta.image_shape)
    save_png(FIGURE, slice_figure(images, y[rows["train"]], raw.classes))


def labels_and_subjects(raw: Raw) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Of all rows, those of train first."""
    y = np.concatenate([raw.train.labels, raw.test.labels])
    if raw.train.subjects is None or raw.test.subjects is None:
        return y, None
    return y, np.concatenate([raw.train.subjects, raw.test.subjects])


def split_rows(raw: Raw, data: Data) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """The rows of train and of test, numbered through both files, and the classes to score."""
    y, subjects = labels_and_subjects(raw)
    if data.split == "given":
        n_train = len(raw.train.labels)
        rows = {"train": np.arange(n_train), "test": np.arange(n_train, len(y))}
        return rows, [raw.classes[label] for label in np.unique(raw.test.labels)]
    if data.split == "subject" and subjects is None:
        raise InputError(
            f"params.yaml: data.split is subject, but {data.raw} says not whose image a row is; "
            "expected train_subjects.pt and test_subjects.pt there, or another split"
        )
    ids = subjects if data.split == "subject" else None
    fold = fold_of_rows(y, ids, data.folds, data.seed)
    absent = absent_classes(y, fold, raw.classes)
    for name, folds in absent.items():
        of = y == raw.classes.index(name)
        n = of.sum() if ids is None else len(np.unique(ids[of]))
        print(
            f"warning: class {name} has {n} {'rows' if ids is None else 'subjects'} for "
            f"{data.folds} folds: none in test in folds {folds.test}, none in train in folds "
            f"{folds.train}; balanced and macro_f1 leave it out in every fold"
        )
    order = np.random.default_rng(data.seed)  # batches are rows in stored order
    rows = {
        "train": order.permutation(np.flatnonzero(fold != data.fold)),
        "test": order.permutation(np.flatnonzero(fold == data.fold)),
    }
    return rows, [name for name in raw.classes if name not in absent]


def write_smallest(folder: Path, raw: Raw, rows: dict[str, NDArray[np.int64]]) -> Form:
    """Write the images of train and test in the smallest form that fits them all; return it."""
    channels, height, width = raw.train.images.shape[1:]
    for form in forms(channels):
        try:
            for split, chosen in rows.items():
                shape = (len(chosen), form.channels * height * width)
                chunks = checked_chunks(raw, chosen, form, f"load {split}")
                write_array(folder / f"x_{split}.npy", shape, form.dtype, chunks)
        except FormError:
            continue
        break
    return form


def checked_chunks(
    raw: Raw, rows: NDArray[np.int64], form: Form, label: str
) -> Iterator[NDArray[Any]]:
    """The images of `rows` to store, in chunks (n, D); FormError, InputError."""
    for part in row_slices(len(rows), 4 * raw.train.images[0].numel(), label):
        chunk = images_of(raw, rows[part])
        if form.dtype == "float32":  # grey levels are finite by themselves
            check_pixels(chunk, raw, rows[part])
        yield stored_rows(chunk, form)


if __name__ == "__main__":
    run(main)
