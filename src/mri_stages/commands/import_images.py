"""Make a raw folder of a set of images, from its zip or folder."""

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from mri_stages.console import OneLineParser
from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest.import_options import ImportOptions, add_pixel_arguments, collect_options
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
    check_arguments(arguments)
    options = collect_options(ImportOptions, arguments)

    # It takes seconds to import PyTorch, which no error in the arguments needs.
    from mri_stages.commands.make_raw_folder import make_raw_folder

    make_raw_folder(arguments.source, arguments.out, options)


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
