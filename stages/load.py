"""Check the raw tensors and write them as rows, in the smallest format that gives them back."""

from pathlib import Path

import numpy as np

from src import paths
from src.cli import run
from src.data.raw_tensors import Raw, float_images, read_raw
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
    n_classes = len(raw.classes)
    counts = {s: np.bincount(y, minlength=n_classes).tolist() for s, y in raw.labels.items()}
    for name, n_rows in zip(raw.classes, counts["train"], strict=True):
        if not n_rows:
            print(f"note: no training row is of class {name}; no model can learn it")
    with replacing(paths.FLAT) as folder:
        folder.mkdir()
        stored = write_smallest(folder, raw, Path(data.raw))
        for kind, by_split in (("y", raw.labels), ("subjects", raw.subjects)):
            for split, numbers in by_split.items():
                write_array(folder / f"{kind}_{split}.npy", numbers.shape, np.int64, [numbers])
        info = {
            "image_shape": list(raw.images["train"].shape[1:]), "classes": raw.classes,
            "counts": counts, "stored": stored._asdict(),
        }  # fmt: skip
        write_json(folder / paths.INFO.name, info)
    images, labels, _ = load_split("train", read_info(), scaled=False)
    save_png(paths.SAMPLE_FIGURE, slice_figure(images, labels, raw.classes, data.title))


def write_smallest(folder: Path, raw: Raw, source: Path) -> StorageFormat:
    """Write the images of train and test in the smallest format that fits them all; return it."""
    channels, height, width = raw.images["train"].shape[1:]
    for stored in arrays.storage_formats(channels):
        try:
            for split, images in raw.images.items():
                path, label = source / f"{split}_data.pt", f"load {split}"
                chunks = (
                    arrays.stored_rows(float_images(images[part], path, part.start), stored)
                    for part in arrays.row_slices(len(images), 4 * images[0].numel(), label)
                )
                shape = (len(images), stored.channels * height * width)
                write_array(folder / f"x_{split}.npy", shape, stored.dtype, chunks)
        except FormatError:
            continue
        break
    return stored


if __name__ == "__main__":
    run(main)
