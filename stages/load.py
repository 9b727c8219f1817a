"""The raw folder, checked and flattened: one row an image, stored once what is there once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from src.arrays import Form, FormError, forms, read_images, row_slices, stored_rows, write_array
from src.cli import run
from src.files import replacing
from src.meta import Meta, write_meta
from src.params import read_params
from src.png import save_png
from src.raw import RawSplit, check_pixels, float_pixels, read_raw
from src.slice_figure import slice_figure

OUT = Path("data/flat")
FIGURE = Path("plots/sample.png")


def main() -> None:
    source = Path(read_params().data.raw)
    raw = read_raw(source)
    for note in raw.notes:
        print(f"note: {note}")
    halves = {"train": raw.train, "test": raw.test}
    channels, height, width = raw.train.images.shape[1:]
    meta = Meta((channels, height, width), raw.classes)
    with replacing(OUT) as folder:
        folder.mkdir()
        form = write_smallest(folder, source, halves)
        counts = {}
        for split, half in halves.items():
            write_array(folder / f"y_{split}.npy", half.labels.shape, np.int64, [half.labels])
            if half.subjects is not None:
                ids = half.subjects
                write_array(folder / f"subjects_{split}.npy", ids.shape, np.int64, [ids])
            counts[split] = np.bincount(half.labels, minlength=len(raw.classes)).tolist()
        write_meta(folder / "meta.json", meta, counts, form)
    for name, rows in zip(raw.classes, counts["train"], strict=True):
        if not rows:
            print(f"note: no training row is of class {name}; no model can learn it")
    images = read_images(OUT / "x_train.npy", meta.image_shape)
    save_png(FIGURE, slice_figure(images, raw.train.labels, raw.classes))


def write_smallest(folder: Path, source: Path, halves: dict[str, RawSplit]) -> Form:
    """Write the images of both halves in the smallest form that fits them all; return it."""
    channels, height, width = halves["train"].images.shape[1:]
    for form in forms(channels):
        try:
            for split, half in halves.items():
                shape = (len(half.images), form.channels * height * width)
                chunks = checked_chunks(half.images, form, source / f"{split}_data.pt")
                write_array(folder / f"x_{split}.npy", shape, form.dtype, chunks)
        except FormError:
            continue
        break
    return form


def checked_chunks(images: torch.Tensor, form: Form, path: Path) -> Iterator[NDArray[Any]]:
    """The rows of `images` (N, C, H, W) to store, in chunks (n, D); FormError, InputError."""
    for rows in row_slices(len(images), 4 * images[0].numel(), f"load {path.stem}"):
        chunk = float_pixels(images[rows], path, rows.start)
        if form.dtype == "float32":  # grey levels are finite by themselves
            check_pixels(chunk, path, rows.start)
        yield stored_rows(chunk, form)


if __name__ == "__main__":
    run(main)
