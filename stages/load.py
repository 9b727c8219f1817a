"""Check the raw tensors and write them as rows, in the smallest format that gives them back."""

from pathlib import Path

import numpy as np

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.ingest.raw_folder import Raw, read_raw, to_float_images
from mri_stages.storage import arrays
from mri_stages.storage.arrays import FormatError, StorageFormat, write_array
from mri_stages.storage.files import write_atomically, write_json


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
    with write_atomically(paths.FLAT) as folder:
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


def write_smallest(folder: Path, raw: Raw, source: Path) -> StorageFormat:
    """Write the images of train and test in the smallest format that fits them all; return it."""
    channels, height, width = raw.images["train"].shape[1:]
    for stored in arrays.list_storage_formats(channels):
        try:
            for split, images in raw.images.items():
                path, label = source / f"{split}_data.pt", f"load {split}"
                chunks = (
                    arrays.encode_rows(to_float_images(images[part], path, part.start), stored)
                    for part in arrays.iterate_chunks(len(images), 4 * images[0].numel(), label)
                )
                shape = (len(images), stored.channels * height * width)
                write_array(folder / f"x_{split}.npy", shape, stored.dtype, chunks)
        except FormatError:
            continue
        break
    return stored


if __name__ == "__main__":
    run_stage(main)
