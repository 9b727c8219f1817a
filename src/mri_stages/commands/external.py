"""Score a trained model on another raw folder: external testing of a model that stays as it is."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from mri_stages.console import OneLineParser


def main(argv: Sequence[str]) -> None:
    arguments = parse_arguments(argv)

    # It takes seconds to import PyTorch, which no error in the arguments needs.
    from mri_stages.commands.score_external import score_external

    score_external(arguments)


def parse_arguments(argv: Sequence[str]) -> Namespace:
    parser = OneLineParser(prog="mri-stages external", description=__doc__)
    parser.add_argument("folder", type=Path, help="a raw folder: all rows of train and test count")
    parser.add_argument("--model", required=True, help="a name in params.yaml, or an export folder")
    parser.add_argument("--out", type=Path, help="the result (default: external/NAME.json)")
    parser.add_argument(
        "--skip-copies",
        action="store_true",
        help="leave out rows that are equal, or nearly equal, to a training row",
    )
    parser.add_argument(
        "--allow-similar",
        action="store_true",
        help="also score rows that are nearly equal to a training row",
    )
    return parser.parse_args(argv)
