"""Make a raw folder of the public image set, from its zip or folder."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from src.cli import InputError, OneLineParser, progress, run
from src.data.image_folder import MAX_PIXELS, ImageFile, list_images, opened, read_image
from src.data.raw_tensors import save_labels, save_tensor
from src.data.subject_ids import NoSubjects, subject_ids
from src.storage.arrays import pixels, write_array
from src.storage.files import replacing

MAX_BYTES = 2**36  # of all pixels: 64 GiB, twenty times the public set


def main() -> None:
    arguments = parsed()
    rng = np.random.default_rng(arguments.seed)
    with opened(arguments.source) as tree, replacing(arguments.out) as folder:
        files, classes, left_out = list_images(tree, arguments.source)
        if left_out:
            print(f"note: {len(left_out)} other files left out, such as {left_out[0]!a}")
        orders = {split: rng.permutation(len(files[split])) for split in files}
        subjects = None
        try:
            ids = subject_ids(files, classes)
            subjects = {split: ids[split][order] for split, order in orders.items()}
            print(f"subjects: {1 + max(map(max, ids.values()))}, from the file names")
        except NoSubjects as reason:
            print(f"subjects: none ({reason})")
        rows = {split: [files[split][i] for i in order] for split, order in orders.items()}
        labels = {split: np.array([file.label for file in rows[split]]) for split in rows}
        image_shape = read_image(files["train"][0].path, arguments.max_pixels).shape
        n_bytes = 4 * prod(image_shape) * sum(map(len, rows.values()))
        if n_bytes > arguments.max_bytes:
            raise InputError(
                f"{arguments.source}: its pixels would take {n_bytes} bytes, expected at most "
                f"{arguments.max_bytes}; --max-bytes raises the limit"
            )
        folder.mkdir()
        for split in rows:
            # Through a file that is mapped into memory, so that the set may be larger than memory.
            mapped = folder / f"{split}_data.npy"
            chunks = pixel_chunks(rows[split], image_shape, arguments.max_pixels)
            write_array(mapped, (len(rows[split]), *image_shape), np.float32, chunks)
            images = torch.from_numpy(np.load(mapped, mmap_mode="r+"))
            save_tensor(mapped.with_suffix(".pt"), images)
            mapped.unlink()
        save_labels(folder, classes, labels, subjects)
    counts = ", ".join(f"{split} {len(files[split])}" for split in files)
    print(f"wrote {arguments.out}: {counts} images of {len(classes)} classes")


def parsed() -> Namespace:
    parser = OneLineParser(prog="python -m scripts.import_images", description=__doc__)
    option = parser.add_argument
    option("source", type=Path, help="zip or folder that holds {train,test}/CLASS")
    option("--out", type=Path, default=Path("data/raw"), help="the new raw folder")
    option("--seed", type=int, default=0, help="of the order of the rows")
    option("--max-pixels", type=int, default=MAX_PIXELS, help="of one image (%(default)s)")
    option("--max-bytes", type=int, default=MAX_BYTES, help="of all pixels (%(default)s)")
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise InputError(f"{arguments.out}: exists, expected a new folder; remove it or use --out")
    if arguments.seed < 0:
        raise InputError(f"--seed: {arguments.seed}, expected a whole number from 0")
    return arguments


def pixel_chunks(
    files: Sequence[ImageFile], image_shape: tuple[int, ...], max_pixels: int
) -> Iterator[NDArray[np.float32]]:
    """Yield each image as (3, H, W) float32, k/255 of the 8-bit grey levels k."""
    with progress(len(files), "images", "image") as advance:
        for file in files:
            image = read_image(file.path, max_pixels)
            if image.shape != image_shape:
                raise InputError(
                    f"{file.path}: {image.shape[1]} x {image.shape[2]} pixels, expected "
                    f"{image_shape[1]} x {image_shape[2]} as in the first image; resize it"
                )
            yield pixels(image)
            advance(1)


if __name__ == "__main__":
    run(main)
