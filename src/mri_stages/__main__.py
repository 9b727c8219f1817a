"""The command `mri-stages`: each subcommand is one module of `commands`."""

import sys
from importlib import import_module

from mri_stages.console import run_command
from mri_stages.errors import InputError

SUBCOMMANDS = {
    "import": "import_images",
    "parameters": "parameters",
    "predict": "predict",
    "repro": "repro",
    "results": "results",
}


def main() -> None:
    """Run the subcommand that the command line names."""
    run_command(run_subcommand)


def run_subcommand() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in SUBCOMMANDS:
        raise InputError(f"mri-stages: {name!r}, expected one of {', '.join(SUBCOMMANDS)}")
    del sys.argv[1]
    import_module(f"mri_stages.commands.{SUBCOMMANDS[name]}").main()


if __name__ == "__main__":
    main()
