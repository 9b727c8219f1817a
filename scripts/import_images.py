"""Make a raw folder of a set of images, from its zip or folder."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from src.cli import InputError, OneLineParser, progress, run
from src.data.image_folder import MAX_PIXELS, ImageError, ImageFile, list_images, opened, read_image
from src.data.raw_tensors import save_labels, save_tensor
from src.data.subject_ids import NoSubjects, subject_ids
from src.storage.arrays import FormatError, write_array
from src.storage.dataset import SPLITS
from src.storage.files import replacing, write_csv

MAX_BYTES = 2**36  # of all pixels: 64 GiB


def main() -> None:
    arguments = parsed()
    with opened(arguments.source) as tree, replacing(arguments.out) as folder:
        files, classes, notes = list_images(tree, arguments.source)
        for note in notes:
            print(f"note: {note}")
        labels, subjects = np.array([file.label for file in files]), None
        try:
            subjects = subject_ids(files, classes, arguments.subject_pattern, arguments.subjects)
            print(f"subjects: {len(np.unique(subjects))}, from {arguments.subjects or 'the names'}")
        except NoSubjects as reason:
            print(f"subjects: none ({reason}); see --subject-pattern and --subjects")
        in_test = rows_in_test(files, labels, subjects, arguments)
        rng = np.random.default_rng(arguments.seed)
        rows = {s: rng.permutation(np.flatnonzero(in_test == (s == "test"))) for s in SPLITS}
        folder.mkdir()
        write_images(folder, {s: [files[i] for i in rows[s]] for s in SPLITS}, arguments)
        ids = None if subjects is None else {s: subjects[rows[s]] for s in SPLITS}
        save_labels(folder, classes, {s: labels[rows[s]] for s in SPLITS}, ids)
        table = [
            (row, s, classes[labels[i]], "" if subjects is None else subjects[i], files[i].name)
            for s in SPLITS
            for row, i in enumerate(rows[s])
        ]
        write_csv(folder / "files.csv", ("row", "split", "class", "subject", "file"), table)
    counts = ", ".join(f"{s} {len(rows[s])}" for s in SPLITS)
    print(f"wrote {arguments.out}: {counts} images of {len(classes)} classes: {', '.join(classes)}")


def parsed() -> Namespace:
    parser = OneLineParser(prog="python -m scripts.import_images", description=__doc__)
    option, ids = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    option("source", type=Path, help="zip or folder of {train,test}/CLASS/IMAGE or CLASS/IMAGE")
    option("--out", type=Path, default=Path("data/raw"), help="the new raw folder")
    option("--test-share", type=float, help="of a set without a test folder, such as 0.2")
    option("--resize", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="stretch each image")
    ids("--subject-pattern", help="regular expression; its first group in the file name is the id")
    ids("--subjects", type=Path, metavar="FILE.csv", help="a table of columns file, subject")
    option("--seed", type=int, default=0, help="of the order of the rows and of --test-share")
    option("--max-pixels", type=int, default=MAX_PIXELS, help="of one image (%(default)s)")
    option("--max-bytes", type=int, default=MAX_BYTES, help="of all pixels (%(default)s)")
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise InputError(f"{arguments.out}: exists, expected a new folder; remove it or use --out")
    if not 0 <= arguments.seed < 2**32:
        raise InputError(f"--seed: {arguments.seed}, expected a whole number from 0 to 2**32 - 1")
    if arguments.resize and not 1 <= min(arguments.resize) <= max(arguments.resize) <= 2**15:
        raise InputError(f"--resize: {arguments.resize}, expected two numbers from 1 to {2**15}")
    return arguments


def rows_in_test(
    files: Sequence[ImageFile],
    labels: NDArray[np.int64],
    subjects: NDArray[np.int64] | None,
    arguments: Namespace,
) -> NDArray[np.bool_]:
    """Return which files (N,) are test: those in its folder, or a share of the subjects.

    The share is stratified by the class of a subject's first file. Without ids it is of the files.
    """
    source, share = arguments.source, arguments.test_share
    if files[0].split and share is not None:
        raise InputError(f"{source}: has a test folder, expected none with --test-share")
    if files[0].split:
        return np.array([file.split == "test" for file in files])
    if share is None:
        raise InputError(f"{source}: no train and test folders; '--test-share 0.2' splits the set")
    groups = np.arange(len(files)) if subjects is None else subjects
    units, first = np.unique(groups, return_index=True)
    strata = labels[first]
    counts = np.bincount(strata)
    strata = np.where(counts[strata] > 1, strata, counts.argmax())
    try:
        _, test = train_test_split(
            units, test_size=share, stratify=strata, random_state=arguments.seed
        )
    except ValueError as error:  # a share beyond 0 to 1, or too few images
        raise InputError(f"{source}: --test-share {share}: {error}") from None
    in_test = np.isin(groups, test)
    lacking = set(labels[in_test]) ^ set(labels[~in_test])
    if lacking:
        raise InputError(
            f"{source}: --test-share {share} leaves {len(lacking)} classes out of train or test, "
            "expected images of two or more subjects in each; try another share or --seed"
        )
    return in_test


def write_images(folder: Path, files: dict[str, list[ImageFile]], arguments: Namespace) -> None:
    """Write the images of train and test as uint8 (N, 3, H, W); grey ones store one channel."""
    path, n_files = folder / "pixels.npy", sum(map(len, files.values()))
    for channels in (1, 3):
        images = read_all([*files["train"], *files["test"]], arguments)
        first = next(images)
        shape = (n_files, channels, *first.shape[1:])
        if prod(shape) > arguments.max_bytes:
            raise InputError(
                f"{arguments.source}: its pixels would take {prod(shape)} bytes, expected at most "
                f"{arguments.max_bytes}; --max-bytes raises the limit"
            )
        with suppress(FormatError):
            stored = (distinct(image, channels) for image in chain([first], images))
            write_array(path, shape, np.uint8, stored)
            break
    # The set may be larger than memory.
    parts = np.split(np.load(path, mmap_mode="r+"), [len(files["train"])])
    for split, part in zip(SPLITS, parts, strict=True):
        save_tensor(folder / f"{split}_data.pt", torch.from_numpy(part).expand(-1, 3, -1, -1))
    path.unlink()


def distinct(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Return the first `channels`; FormatError if the others are not equal to the first."""
    if not (image[channels:] == image[0]).all():
        raise FormatError
    return image[:channels]


def read_all(files: Sequence[ImageFile], arguments: Namespace) -> Iterator[NDArray[np.uint8]]:
    """Yield each image (3, H, W); if some are wrong, count them all and raise InputError."""
    notes: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    faults: dict[str, list[str]] = {}  # of each kind, the files and reasons
    with progress(len(files), "images", "image") as advance:
        for file in files:
            try:
                image = read_image(file.path, arguments.max_pixels, arguments.resize, notes)
            except ImageError as error:
                faults.setdefault(error.kind, []).append(f"{file.name} ({error.why})")
            else:
                sizes[f"{image.shape[1]} x {image.shape[2]}"] += 1
                if len(sizes) == 1:  # else nothing is kept
                    yield image
            advance(1)
    found = [f"{len(names)} {kind}, such as {names[0]}" for kind, names in faults.items()]
    if len(sizes) > 1:
        most = [f"{count} of {size}" for size, count in sizes.most_common(5)]
        found.append(f"{len(sizes)} sizes: {', '.join(most)} pixels; see --resize HEIGHT WIDTH")
    if found:
        raise InputError(f"{arguments.source}: of {len(files)} images, {'; '.join(found)}")
    for note, count in notes.items():
        print(f"note: {count} images {note}")


if __name__ == "__main__":
    run(main)
