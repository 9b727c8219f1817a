"""The public image set, zip or folder, as a raw folder: `python -m stages.images SOURCE`."""

from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from src.cli import InputError, OneLineParser, run
from src.files import replacing, reserve
from src.image_set import (
    MAX_PIXELS,
    ImageFile,
    NoSubjects,
    list_images,
    opened,
    read_image,
    with_subjects,
)
from src.raw import save_labels, save_tensor

MAX_BYTES = 2**36  # of all pixels: 64 GiB, twenty times the public set


def main() -> None:
    parser = OneLineParser(prog="python -m stages.images", description=__doc__)
    parser.add_argument("source", type=Path, help="zip or folder that holds {train,test}/CLASS")
    parser.add_argument("--out", type=Path, default=Path("data/raw"), help="the new raw folder")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the rows")
    parser.add_argument(
        "--max-pixels", type=int, default=MAX_PIXELS, help="of one image (default: %(default)s)"
    )
    parser.add_argument(
        "--max-bytes", type=int, default=MAX_BYTES, help="of all pixels (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise InputError(f"{arguments.out}: exists, expected a new folder; remove it or use --out")
    if arguments.seed < 0:
        raise InputError(f"--seed: {arguments.seed}, expected a whole number from 0")
    rng = np.random.default_rng(arguments.seed)
    with opened(arguments.source) as tree, replacing(arguments.out) as folder:
        files, classes, left_out = list_images(tree, arguments.source)
        if left_out:
            print(f"note: {len(left_out)} other files left out, such as {left_out[0]!a}")
        try:
            files = with_subjects(files, classes)
            n_subjects = 1 + max(file.subject or 0 for file in files["train"] + files["test"])
            print(f"subjects: {n_subjects}, from the file names")
        except NoSubjects as reason:
            print(f"subjects: none ({reason})")
        folder.mkdir()
        image_shape = read_image(files["train"][0].path, arguments.max_pixels).shape
        n_bytes = 4 * prod(image_shape) * sum(map(len, files.values()))
        if n_bytes > arguments.max_bytes:
            raise InputError(
                f"{arguments.source}: its pixels would take {n_bytes} bytes, expected at most "
                f"{arguments.max_bytes}; --max-bytes raises the limit"
            )
        rows = {
            split: [files[split][i] for i in rng.permutation(len(files[split]))] for split in files
        }
        for split, shuffled in rows.items():
            write_images(folder / f"{split}_data.pt", shuffled, image_shape, arguments.max_pixels)
        known = files["train"][0].subject is not None
        save_labels(
            folder,
            classes,
            {split: np.array([file.label for file in rows[split]]) for split in rows},
            {split: np.array([file.subject for file in rows[split]]) for split in rows}
            if known
            else None,
        )
    counts = ", ".join(f"{split} {len(files[split])}" for split in files)
    print(f"wrote {arguments.out}: {counts} images of {len(classes)} classes")


def write_images(
    path: Path, files: Sequence[ImageFile], image_shape: tuple[int, ...], max_pixels: int
) -> None:
    """Save the images as one tensor (N, 3, H, W) float32, k/255 with k the 8-bit grey level.

    Filled through a memory map, so that a set larger than memory goes through; the disk holds the
    pixels twice for a while.
    """
    pixels_path = path.with_suffix(".pixels")
    shape = (len(files), *image_shape)
    reserve(pixels_path, np.dtype(np.float32).itemsize * prod(shape))
    pixels = np.memmap(pixels_path, np.float32, "r+", shape=shape)
    for row, file in enumerate(tqdm(files, desc=path.stem, unit="image", disable=None)):
        image = read_image(file.path, max_pixels)
        if image.shape != image_shape:
            raise InputError(
                f"{file.path}: {image.shape[1]} x {image.shape[2]} pixels, expected "
                f"{image_shape[1]} x {image_shape[2]} as in the first image; resize it"
            )
        np.divide(image, 255, out=pixels[row], dtype=np.float32)
    save_tensor(path, torch.from_numpy(pixels))
    del pixels
    pixels_path.unlink()


if __name__ == "__main__":
    run(main)
