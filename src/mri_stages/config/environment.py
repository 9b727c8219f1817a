"""Run stages only with the packages that environment.yaml names.

Versions decide the bytes of a result, so DVC reads environment.yaml as params. That is true only
while what is installed is what the file says.
"""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from mri_stages import paths
from mri_stages.config.live import write_live
from mri_stages.config.run_history import record_run
from mri_stages.console import run_command
from mri_stages.errors import InputError


def run_stage(main: Callable[[], None]) -> None:
    """Run `main` of a stage as a command, after a check of the installed packages.

    The history of runs gets a line, and `mri-stages watch` sees the trainings.
    """

    def check_and_run() -> None:
        with record_run(), write_live():
            check_environment()
            main()

    run_command(check_and_run)


def check_environment(path: Path = paths.ENVIRONMENT) -> None:
    """Raise InputError that names the first package whose installed version is another one."""
    for package, expected in read_environment(path).items():
        installed = find_installed_version(package)
        if installed != expected:
            raise InputError(
                f"{path}: {package} {installed or '(none)'} is installed, expected {expected}; "
                "run 'make' to install it, or name the installed version there"
            )


def read_environment(path: Path = paths.ENVIRONMENT) -> dict[str, str]:
    """Return the version of each package in environment.yaml; InputError if it is not readable."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TypeAdapter(dict[str, str]).validate_python(values, strict=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run in the folder that holds it") from None
    except ValidationError as error:
        first_error = error.errors()[0]
        key = ".".join(map(str, first_error["loc"])) or "the file"
        raise InputError(
            f"{path}: {key} is {first_error['input']!r}, expected a version in quotes"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: not readable as YAML: {error}") from None


def find_installed_version(package: str) -> str:
    """Return the installed version without its local part, such as +cpu; "" without the package."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return ""
