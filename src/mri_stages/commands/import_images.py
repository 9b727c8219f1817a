"""Make a raw folder of a set of images, from its zip or folder."""

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mri_stages.console import OneLineParser, make_printable
from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest import npz_file
from mri_stages.ingest.conversion import (
    Subjects,
    choose_test_files,
    order_rows,
    write_raw_folder,
)
from mri_stages.ingest.format_checks import (
    check_opened_files,
    describe_identity,
    describe_pictures,
    describe_unused_options,
    list_subject_warnings,
)
from mri_stages.ingest.image_folder import list_images
from mri_stages.ingest.image_set import ImageSet
from mri_stages.ingest.image_table import list_table_images
from mri_stages.ingest.import_options import ImportOptions, add_pixel_arguments, collect_options
from mri_stages.ingest.raw_folder import SplitIntegers
from mri_stages.ingest.subject_ids import NoSubjectsError, assign_subjects
from mri_stages.orchestration.data_checks import list_import_warnings
from mri_stages.storage.files import check_parents

# Options that mean nothing without a table, or nothing with one.
TABLE_OPTIONS = (
    "file_column",
    "class_column",
    "subject_column",
    "split_column",
    "test_values",
    "keep",
    "skip_missing",
)
FOLDER_OPTIONS = ("class_level", "subject_level")


def main(argv: Sequence[str]) -> None:
    arguments = parse_arguments(argv)
    source: Path = arguments.source
    check_arguments(arguments)
    options = collect_options(ImportOptions, arguments)

    image_set = list_image_set(source, options)
    for note in image_set.notes:
        print(make_printable(f"note: {note}"))
    check_opened_files(source, image_set.files, options)
    print_format_notes(image_set, options)
    subjects = find_subjects(image_set, options)
    test_mask = choose_test_files(image_set, subjects, source, options.test_share, options.seed)
    indices = order_rows(test_mask, options.seed)
    if options.test_share is not None:
        print(f"split: --test-share {options.test_share} ({count_rows(indices)})")

    note_counts = write_raw_folder(arguments.out, image_set, subjects, indices, source, options)

    for note, count in note_counts.items():
        print(f"note: {count} images {note}")
    classes = image_set.classes
    result = f"{count_rows(indices)} images of {len(classes)} classes: {', '.join(classes)}"
    print(make_printable(f"wrote {arguments.out}: {result}"))
    for warning in list_import_warnings(arguments.out):
        print(f"warning: {warning}")


def list_image_set(source: Path, options: ImportOptions) -> ImageSet:
    """Return the images of a source: of an .npz file, by a table, or by its folders."""
    if source.is_file() and source.suffix.lower() == npz_file.SUFFIX:
        return npz_file.list_npz_images(source, options)
    if options.table is not None:
        return list_table_images(source, options)
    return list_images(source, options)


def print_format_notes(image_set: ImageSet, options: ImportOptions) -> None:
    """Print what is to be said of the DICOM files and the volumes of a set, if there are any."""
    pictures = [file.picture for file in image_set.files]
    notes = [*describe_identity(image_set.files), *describe_pictures(pictures, options)]
    notes += describe_unused_options(pictures, options)
    for note in notes:
        print(make_printable(f"note: {note}"))
    if options.subjects is None and options.subject_pattern is None:
        for warning in list_subject_warnings(image_set.files, image_set.classes):
            print(f"warning: {warning}")


def count_rows(indices: SplitIntegers) -> str:
    """Return the number of rows of train and of test."""
    return ", ".join(f"{split} {len(rows)}" for split, rows in indices.items())


def parse_arguments(argv: Sequence[str]) -> Namespace:
    """Return the arguments; those of `ImportOptions` only where they are given."""
    parser = OneLineParser(prog="mri-stages import", description=__doc__, argument_default=SUPPRESS)
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="stands first: a zip or folder of {train,test}/CLASS/IMAGE or CLASS/IMAGE, the images "
        "of a table, or an .npz file",
    )
    parser.add_argument("--out", type=Path, default=Path("data/raw"), help="the new raw folder")
    parser.add_argument(
        "--test-share", type=float, metavar="SHARE", help="of a set without a split, such as 0.2"
    )
    parser.add_argument("--seed", type=int, help="of the order of the rows and of --test-share (0)")
    add_folder_arguments(parser)
    add_table_arguments(parser)
    add_subject_arguments(parser)
    add_pixel_arguments(parser)
    arguments = parser.parse_args(argv)
    take_single_class_column(arguments)
    return arguments


def take_single_class_column(arguments: Namespace) -> None:
    """Replace the list of class columns by its one name; ArgumentError if there are several."""
    if "class_column" not in arguments:
        return
    names = arguments.class_column
    if len(names) > 1:
        raise ArgumentError(
            f"--class-column {' '.join(names)}: a column per label (one-hot, or several labels per "
            "image), expected one column with the class of each image"
        )
    arguments.class_column = names[0]


def add_folder_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("classes by folder", argument_default=SUPPRESS)
    group.add_argument(
        "--class-level",
        type=int,
        metavar="N",
        help="the class is the N-th folder below train and test, or below SOURCE; from 1",
    )
    group.add_argument(
        "--exclude",
        action="extend",
        nargs="+",
        metavar="GLOB",
        help="leave files out by their path below SOURCE, such as '*/masks/*'",
    )


def add_table_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("classes by table", argument_default=SUPPRESS)
    group.add_argument("--table", type=Path, metavar="FILE.csv", help="a row for each image")
    group.add_argument("--file-column", metavar="NAME", help="of the files (file)")
    group.add_argument("--class-column", nargs="+", metavar="NAME", help="of the classes (class)")
    group.add_argument("--split-column", metavar="NAME", help="of train and test (split)")
    group.add_argument(
        "--test-values",
        action="extend",
        nargs="+",
        metavar="VALUE",
        help="of the split column: the rows of the test set; all others are train",
    )
    group.add_argument(
        "--keep",
        action="extend",
        nargs="+",
        metavar="NAME",
        help="columns for files.csv and subjects.csv, such as age sex",
    )
    group.add_argument(
        "--skip-missing",
        action="store_true",
        help="leave out rows without a file, and files without a row",
    )


def add_subject_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group(
        "subjects (one of these)", argument_default=SUPPRESS
    ).add_mutually_exclusive_group()
    group.add_argument("--subject-column", metavar="NAME", help="of --table (subject)")
    group.add_argument(
        "--subject-level",
        type=int,
        metavar="N",
        help="the id is the N-th folder below train and test, or below SOURCE; from 1",
    )
    group.add_argument(
        "--subject-pattern",
        metavar="REGEX",
        help="regular expression; its first group in the file name is the id",
    )
    group.add_argument(
        "--subjects", type=Path, metavar="FILE.csv", help="a table of columns file, subject"
    )


def check_arguments(arguments: Namespace) -> None:
    """Raise an error if the source is missing, or options do not go together."""
    if not arguments.source.exists():
        raise InputError(f"{arguments.source}: no such file, expected a zip or folder of images")
    if arguments.out.exists():
        raise InputError(f"{arguments.out}: exists, expected a new folder; remove it or use --out")
    check_parents(arguments.out, "--out")
    has_table = "table" in arguments
    for name in TABLE_OPTIONS:
        if name in arguments and not has_table:
            raise ArgumentError(f"--{name.replace('_', '-')}: expected only with --table FILE.csv")
    for name in FOLDER_OPTIONS:
        if name in arguments and has_table:
            raise ArgumentError(f"--{name.replace('_', '-')}: expected only without --table")


def find_subjects(image_set: ImageSet, options: ImportOptions) -> Subjects:
    """Return the subject of each file if known, and print how many there are, or why none."""
    try:
        subjects = assign_subjects(image_set, options)
    except NoSubjectsError as reason:
        advice = "--subject-pattern or --subjects names them"
        print(make_printable(f"subjects: unknown ({reason}); {advice}"))
        return None
    print(f"subjects: {len(np.unique(subjects.numbers))}, from {subjects.origin}")
    return subjects
