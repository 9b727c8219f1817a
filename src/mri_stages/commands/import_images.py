"""Make a raw folder of a set of images, from its zip or folder."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mri_stages.console import OneLineParser
from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest.conversion import (
    Subjects,
    choose_test_files,
    order_rows,
    write_raw_folder,
)
from mri_stages.ingest.image_folder import list_images
from mri_stages.ingest.image_set import ImageSet
from mri_stages.ingest.subject_ids import NoSubjectsError, assign_subjects

MAX_SEED = 2**32 - 1  # of scikit-learn


def main(argv: Sequence[str]) -> None:
    arguments = parse_arguments(argv)
    image_set = list_images(arguments.source)
    for note in image_set.notes:
        print(f"note: {note}")
    subjects = find_subjects(image_set, arguments)

    test_mask = choose_test_files(
        image_set, subjects, arguments.source, arguments.test_share, arguments.seed
    )
    indices = order_rows(test_mask, arguments.seed)
    note_counts = write_raw_folder(
        arguments.out, image_set, subjects, indices, arguments.source, arguments.resize
    )

    for note, count in note_counts.items():
        print(f"note: {count} images {note}")
    counts = ", ".join(f"{split} {len(rows)}" for split, rows in indices.items())
    classes = image_set.classes
    print(f"wrote {arguments.out}: {counts} images of {len(classes)} classes: {', '.join(classes)}")


def parse_arguments(argv: Sequence[str]) -> Namespace:
    parser = OneLineParser(prog="mri-stages import", description=__doc__)
    parser.add_argument(
        "source", type=Path, help="zip or folder of {train,test}/CLASS/IMAGE or CLASS/IMAGE"
    )
    parser.add_argument("--out", type=Path, default=Path("data/raw"), help="the new raw folder")
    parser.add_argument(
        "--test-share", type=float, help="of a set without a test folder, such as 0.2"
    )
    parser.add_argument(
        "--resize", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="stretch each image"
    )
    subject_source = parser.add_mutually_exclusive_group()
    subject_source.add_argument(
        "--subject-pattern", help="regular expression; its first group in the file name is the id"
    )
    subject_source.add_argument(
        "--subjects", type=Path, metavar="FILE.csv", help="a table of columns file, subject"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the order of the rows and of --test-share"
    )
    arguments = parser.parse_args(argv)
    check_arguments(arguments)
    return arguments


def check_arguments(arguments: Namespace) -> None:
    if not arguments.source.exists():
        raise InputError(f"{arguments.source}: no such file, expected a zip or folder of images")
    if arguments.out.exists():
        raise InputError(f"{arguments.out}: exists, expected a new folder; remove it or use --out")
    if not 0 <= arguments.seed <= MAX_SEED:
        raise ArgumentError(
            f"--seed: {arguments.seed}, expected a whole number from 0 to 2**32 - 1"
        )
    if arguments.resize and min(arguments.resize) < 1:
        height, width = arguments.resize
        raise ArgumentError(f"--resize: {height} {width}, expected a height and a width above 0")
    share = arguments.test_share
    if share is not None and not 0 < share < 1:
        raise ArgumentError(f"--test-share: {share}, expected a share above 0 and below 1")


def find_subjects(image_set: ImageSet, arguments: Namespace) -> Subjects:
    """Return the subject of each file if known, and print how many there are, or why none."""
    try:
        subjects = assign_subjects(
            image_set.files, image_set.classes, arguments.subject_pattern, arguments.subjects
        )
    except NoSubjectsError as reason:
        print(f"subjects: unknown ({reason}); --subject-pattern or --subjects names them")
        return None
    source = arguments.subjects or "the names"
    print(f"subjects: {len(np.unique(subjects))}, from {source}")
    return subjects
