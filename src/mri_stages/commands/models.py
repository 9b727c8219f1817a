"""Add the keys that params.yaml lacks: `mri-stages models upgrade-params`."""

from collections.abc import Sequence

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.config.upgrade import upgrade_text
from mri_stages.console import OneLineParser
from mri_stages.errors import InputError
from mri_stages.storage.files import write_bytes


def main(argv: Sequence[str]) -> None:
    parser = OneLineParser(prog="mri-stages models", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    actions.add_parser(
        "upgrade-params",
        help="write the keys that params.yaml lacks, so that results stay as they are",
        description="Write the keys that params.yaml lacks. Results stay as they are.",
    )
    parser.parse_args(argv)
    upgrade_params()


def upgrade_params() -> None:
    """Upgrade params.yaml in place, and check it; InputError if a key is still missing or wrong."""
    try:
        text = paths.PARAMS.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{paths.PARAMS}: no such file; run in the folder that holds it") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{paths.PARAMS}: not readable as YAML: {error}") from None

    upgraded_text = upgrade_text(text)
    if upgraded_text != text:
        write_bytes(paths.PARAMS, upgraded_text.encode())
        print(f"wrote {paths.PARAMS}; 'git diff {paths.PARAMS}' shows the changes")
    else:
        print(f"{paths.PARAMS} has all keys")

    read_params()
