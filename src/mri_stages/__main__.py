"""The command `mri-stages`: each subcommand is one module of `commands`.

A module is imported when its subcommand runs, so that `mri-stages --help` answers at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from mri_stages.console import OneLineParser, run_command


class Subcommand(NamedTuple):
    """A module of `commands`, whose `main(argv)` runs it, and its line in the help."""

    module: str
    summary: str


SUBCOMMANDS = {
    "repro": Subcommand("repro", "bring stages up to date, several at once"),
    "plan": Subcommand("plan", "print which stages would run, and why"),
    "results": Subcommand("results", "print the scores of all models in two tables"),
    "history": Subcommand("history", "list the last runs of stages: time, seconds, changed params"),
    "compare": Subcommand("compare", "compare two experiments or commits in one short table"),
    "import": Subcommand("import_images", "make a raw folder of a folder or zip of images"),
    "predict": Subcommand("predict", "predict the classes of images with a trained model"),
    "external": Subcommand("external", "score a trained model on another raw folder"),
    "sweep": Subcommand("sweep", "try values of a key of a model, with several seeds"),
    "cache": Subcommand("cache", "list what the cache holds, and what `dvc gc` would remove"),
    "watch": Subcommand("watch", "show the trainings that run now, and the remaining time"),
    "models": Subcommand("models", "list the models, add or remove some"),
    "parameters": Subcommand("parameters", "write the table of docs/parameters.md"),
}


def main() -> None:
    """Run the subcommand that the command line names."""
    run_command(run_subcommand)


def run_subcommand() -> None:
    argv = sys.argv[1:]
    run_copy_in_current_folder(argv)

    # The first argument names the subcommand, whose module parses the others.
    subcommand = SUBCOMMANDS[parse_subcommand(argv[:1])]
    module = import_module(f"mri_stages.commands.{subcommand.module}")
    module.main(argv[1:])


def parse_subcommand(argv: Sequence[str]) -> str:
    """Return the name of the subcommand; `--help` prints the list of them."""
    summaries = [f"  {name:12}{entry.summary}" for name, entry in SUBCOMMANDS.items()]
    parser = OneLineParser(
        prog="mri-stages",
        usage="mri-stages [-h] COMMAND ...",
        description="Run the stages of this project, and use what they made.",
        epilog="\n".join(
            ["commands:", *summaries, "", "'mri-stages COMMAND --help' lists its arguments."]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subcommand", choices=SUBCOMMANDS, metavar="COMMAND", help="see below")
    name: str = parser.parse_args(argv).subcommand
    return name


def run_copy_in_current_folder(argv: Sequence[str]) -> None:
    """Replace this process by the copy of this package in the current folder, if there is one.

    An install points to one folder, but the project also runs in copies and clones of it: each
    must run its own code.
    """
    source_folder = Path.cwd() / "src"
    package = source_folder / "mri_stages"
    if not (package / "__main__.py").is_file() or package.samefile(Path(__file__).parent):
        return

    # An empty entry would stand for the current folder.
    python_path = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    if python_path[:1] == [str(source_folder)]:  # It was started again, and is not importable.
        return

    os.execve(
        sys.executable,
        [sys.executable, "-m", "mri_stages", *argv],
        {**os.environ, "PYTHONPATH": os.pathsep.join([str(source_folder), *python_path])},
    )


if __name__ == "__main__":
    main()
