"""How every command ends: quietly, or in one line on stderr with exit status 1."""

import argparse
import sys
from collections.abc import Callable, Iterable


class InputError(Exception):
    """Something a user can mend: names the file or key, what was found, what was expected."""


def run(main: Callable[[], None]) -> None:
    """Call `main`; an InputError or an OSError (disk, permission) ends in one line."""
    try:
        main()
    except (InputError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


def model_argument(stage: str, models: Iterable[str]) -> str:
    """The model that the command line names; InputError if params.yaml has no such model."""
    parser = argparse.ArgumentParser(prog=f"python -m stages.{stage}")
    parser.add_argument("model", help="a name under `models` in params.yaml")
    name: str = parser.parse_args().model
    if name not in models:
        raise InputError(
            f"params.yaml: models has no {name!r}, expected one of {', '.join(models)}"
        )
    return name
