"""Make a raw folder of a set of images, from its zip or folder."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from mri_stages.console import OneLineParser, run_command, show_progress
from mri_stages.errors import InputError
from mri_stages.ingest.image_file import ImageError, read_image
from mri_stages.ingest.image_folder import ImageFile, list_images
from mri_stages.ingest.raw_folder import save_labels, save_tensor
from mri_stages.ingest.subject_ids import NoSubjects, assign_subjects
from mri_stages.storage.arrays import FormatError, write_array
from mri_stages.storage.dataset import SPLITS
from mri_stages.storage.files import write_atomically, write_csv


def main() -> None:
    arguments = parsed()
    files, classes, notes = list_images(arguments.source)
    for note in notes:
        print(f"note: {note}")
    labels, subjects = np.array([file.label for file in files]), None
    try:
        subjects = assign_subjects(files, classes, arguments.subject_pattern, arguments.subjects)
        print(f"subjects: {len(np.unique(subjects))}, from {arguments.subjects or 'the names'}")
    except NoSubjects as reason:
        print(f"subjects: unknown ({reason}); --subject-pattern or --subjects names them")
    in_test = rows_in_test(files, labels, subjects, arguments)
    rng = np.random.default_rng(arguments.seed)
    rows = {s: rng.permutation(np.flatnonzero(in_test == (s == "test"))) for s in SPLITS}
    with write_atomically(arguments.out) as folder:
        folder.mkdir()
        write_images(folder, {s: [files[i] for i in rows[s]] for s in SPLITS}, arguments)
        ids = {} if subjects is None else {s: subjects[rows[s]] for s in SPLITS}
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
    parser = OneLineParser(prog="mri-stages import", description=__doc__)
    option, ids = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    option("source", type=Path, help="zip or folder of {train,test}/CLASS/IMAGE or CLASS/IMAGE")
    option("--out", type=Path, default=Path("data/raw"), help="the new raw folder")
    option("--test-share", type=float, help="of a set without a test folder, such as 0.2")
    option("--resize", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="stretch each image")
    ids("--subject-pattern", help="regular expression; its first group in the file name is the id")
    ids("--subjects", type=Path, metavar="FILE.csv", help="a table of columns file, subject")
    option("--seed", type=int, default=0, help="of the order of the rows and of --test-share")
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise InputError(f"{arguments.out}: exists, expected a new folder; remove it or use --out")
    if not 0 <= arguments.seed < 2**32:
        raise InputError(f"--seed: {arguments.seed}, expected a whole number from 0 to 2**32 - 1")
    return arguments


def rows_in_test(
    files: Sequence[ImageFile],
    labels: NDArray[np.int64],
    subjects: NDArray[np.int64] | None,
    arguments: Namespace,
) -> NDArray[np.bool_]:
    """Return which files (N,) are test: those in its folder, or a share of the subjects or files.

    The share is stratified by the class of a subject's first file.
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
    counts = np.bincount(labels[first])
    strata = np.where(counts[labels[first]] > 1, labels[first], counts.argmax())
    how = {"test_size": share, "stratify": strata, "random_state": arguments.seed}
    try:
        _, test = train_test_split(units, **how)
    except ValueError as error:  # a share beyond 0 to 1, or too few images
        raise InputError(f"{source}: --test-share {share}: {error}") from None
    in_test = np.isin(groups, test)
    if lacking := set(labels[in_test]) ^ set(labels[~in_test]):
        raise InputError(
            f"{source}: --test-share {share} leaves {len(lacking)} classes out of train or test, "
            "expected images of two or more subjects in each; try another share or --seed"
        )
    return in_test


def write_images(folder: Path, files: dict[str, list[ImageFile]], arguments: Namespace) -> None:
    """Write the images of train and test as uint8 (N, 3, H, W); grey ones store one channel."""
    path, both = folder / "pixels.npy", [*files["train"], *files["test"]]
    for channels in (1, 3):
        images = read_all(both, channels, arguments)
        with suppress(FormatError):
            first = next(images)
            write_array(path, (len(both), *first.shape), np.uint8, chain([first], images))
            break
    # The set may be larger than memory.
    parts = np.split(np.load(path, mmap_mode="r+"), [len(files["train"])])
    for split, part in zip(SPLITS, parts, strict=True):
        save_tensor(folder / f"{split}_data.pt", torch.from_numpy(part).expand(-1, 3, -1, -1))
    path.unlink()


def read_all(
    files: Sequence[ImageFile], channels: int, arguments: Namespace
) -> Iterator[NDArray[np.uint8]]:
    """Yield the first `channels` of each image (channels, H, W).

    FormatError if the others are not equal to the first. If some images are wrong, or their sizes
    differ, count them all and raise InputError.
    """
    notes, sizes = Counter[str](), Counter[str]()
    faults: dict[str, list[str]] = {}  # of each kind, the files and reasons
    with show_progress(len(files), "images", "image") as advance:
        for file in files:
            try:
                image = read_image(file.path, arguments.resize, notes)
            except ImageError as error:
                faults.setdefault(error.kind, []).append(f"{file.name} ({error.reason})")
            else:
                sizes[f"{image.shape[1]} x {image.shape[2]}"] += 1
                if len(sizes) == 1:  # else nothing is kept
                    if (image[channels:] != image[0]).any():
                        raise FormatError
                    yield image[:channels]
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
    run_command(main)
