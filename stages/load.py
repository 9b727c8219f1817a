"""The raw folder, checked and flattened: one row an image."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from src.arrays import read_array, row_slices, write_array
from src.cli import run
from src.files import replacing
from src.meta import Meta, write_meta
from src.params import read_params
from src.png import save_png
from src.raw import check_pixels, read_raw
from src.slice_figure import slice_figure

OUT = Path("data/flat")
FIGURE = Path("plots/sample.png")


def main() -> None:
    source = Path(read_params().data.raw)
    raw = read_raw(source)
    halves = {"train": raw.train, "test": raw.test}
    channels, height, width = raw.train.images.shape[1:]
    meta = Meta((channels, height, width), raw.classes)
    with replacing(OUT) as folder:
        folder.mkdir()
        for split, half in halves.items():
            n_rows, n_features = len(half.images), half.images[0].numel()
            chunks = flat_chunks(half.images, source / f"{split}_data.pt")
            write_array(folder / f"x_{split}.npy", (n_rows, n_features), np.float32, chunks)
            write_array(folder / f"y_{split}.npy", (n_rows,), np.int64, [half.labels])
            if half.subjects is not None:
                write_array(folder / f"subjects_{split}.npy", (n_rows,), np.int64, [half.subjects])
        counts = {
            split: np.bincount(half.labels, minlength=len(raw.classes)).tolist()
            for split, half in halves.items()
        }
        write_meta(folder / "meta.json", meta, counts)
    for name, rows in zip(raw.classes, counts["train"], strict=True):
        if not rows:
            print(f"note: no training row is of class {name}; no model can learn it")
    figure = slice_figure(
        read_array(OUT / "x_train.npy"), raw.train.labels, meta.image_shape, raw.classes
    )
    save_png(FIGURE, figure)


def flat_chunks(images: torch.Tensor, path: Path) -> Iterator[NDArray[np.float32]]:
    """The rows of `images` (N, C, H, W) as checked chunks (n, C * H * W)."""
    for rows in row_slices(len(images), images[0].nbytes, f"load {path.stem}"):
        chunk = images[rows].flatten(1).numpy()
        check_pixels(chunk, path, rows.start)
        yield chunk


if __name__ == "__main__":
    run(main)
