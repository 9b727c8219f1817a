"""Predict the classes of images with a trained model, which reads them as the import did."""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path

from mri_stages.console import OneLineParser
from mri_stages.errors import InputError
from mri_stages.ingest.import_options import add_pixel_arguments
from mri_stages.storage.files import check_new_file

NPZ_SUFFIX = ".npz"
TABLE_START = b"file,predicted,"  # of the first line of a table of predictions


def main(argv: Sequence[str]) -> None:
    arguments = parse_arguments(argv)
    check_files(arguments.file)
    if arguments.csv:
        check_table(arguments.csv)

    # It takes seconds to import PyTorch, which no error in the arguments needs.
    from mri_stages.commands.predict_files import predict_files

    predict_files(arguments)


def parse_arguments(argv: Sequence[str]) -> Namespace:
    """Return the arguments; those of `PixelOptions` only where they are given."""
    parser = OneLineParser(prog="mri-stages predict", description=__doc__)
    parser.add_argument("model", help="a name in params.yaml, or an export folder")
    parser.add_argument(
        "file",
        nargs="+",
        help="an image, a volume, a folder of them, or a .pt tensor of images",
    )
    parser.add_argument("--csv", type=Path, help="also write a table: file, predicted, p_CLASS")
    parser.add_argument(
        "--subjects", type=Path, help="CSV of columns file, subject: also print their means"
    )
    add_pixel_arguments(parser)
    return parser.parse_intermixed_args(argv)  # an option may stand between two files


def check_files(names: Iterable[str]) -> None:
    """Raise InputError that names a file which is not there, or is an .npz.

    It is called before the model is loaded, which takes seconds.
    """
    for name in names:
        path = Path(name)
        if not path.exists():
            raise InputError(f"{name}: no such file, expected an image, a volume, a folder or .pt")
        if path.is_file() and path.suffix.lower() == NPZ_SUFFIX:
            raise InputError(
                f"{name}: an .npz file, expected an image, a DICOM file, a volume, a folder or zip "
                "of them, or a .pt tensor; 'mri-stages import' makes a raw folder of an .npz with "
                "labels, which 'mri-stages external' scores"
            )


def check_table(path: Path) -> None:
    """Raise InputError if no table can be written at `path`, or if another file would be lost."""
    check_new_file(path, "--csv")
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(len(TABLE_START))
    if start and start != TABLE_START:
        raise InputError(
            f"--csv {path}: exists, and is not an earlier table of predictions; name another file"
        )
