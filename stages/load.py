"""Check the raw tensors and write them as rows, in the smallest format that gives them back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src import paths
from src.cli import run
from src.data.raw_tensors import Raw, check_pixels, images_of, read_raw
from src.params import read_params
from src.plotting.slices import slice_figure
from src.plotting.style import save_png
from src.storage import arrays
from src.storage.arrays import FormatError, StorageFormat, write_array
from src.storage.dataset import load_split, read_info
from src.storage.files import replacing, write_json


def main() -> None:
    data = read_params().data
    raw = read_raw(Path(data.raw))
    for note in raw.notes:
        print(note)
    train, test = np.split(np.arange(len(raw.labels)), [len(raw.images["train"])])
    rows = {"train": train, "test": test}
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
            "counts": counts, "stored": stored._asdict(),
        }  # fmt: skip
        write_json(folder / paths.INFO.name, info)
    images, labels, _ = load_split("train", read_info(), scaled=False)
    save_png(paths.SAMPLE_FIGURE, slice_figure(images, labels, raw.classes, data.title))


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
