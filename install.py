"""Make an environment and install a lock into it: by uv, or else by pip.

`make` runs `python3 install.py requirements.lock .venv`. uv needs less than half of pip's time. It
reads none of pip's configuration, so the places there go to uv in its own variables. Where that is
not possible, or uv fails, pip installs.
"""

from __future__ import annotations  # so that an old Python gets to the error below

import ast
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)
EXPECTED = "expected 3.11 to 3.13"
# An older uv does not know all variables, and would take packages from elsewhere without a word.
OLDEST_UV = (0, 7)

# The options of pip that uv has under another name, and what separates several values in uv.
UV_VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
}
# Other options of pip that do not change what is installed, and from where.
HARMLESS_OPTIONS = {
    "break-system-packages",
    "cache-dir",
    "config-file",
    "default-timeout",
    "disable-pip-version-check",
    "log",
    "no-cache-dir",
    "no-color",
    "no-input",
    "no-python-version-warning",
    "no-warn-script-location",
    "progress-bar",
    "quiet",
    "require-virtualenv",
    "retries",
    "root-user-action",
    "timeout",
    "verbose",
}

STOPPED_STATUS = 130


class CannotUseUvError(Exception):
    """Why uv does not install, in one line."""


def main() -> None:
    """Install the lock into the environment that the command line names; end with a status."""
    lock = Path(sys.argv[1])
    venv = Path(sys.argv[2])
    try:
        status = make_environment(venv) or install(lock, venv / "bin/python")
    except KeyboardInterrupt:
        status = STOPPED_STATUS
    sys.exit(status)


def make_environment(venv: Path) -> int:
    """Make the environment, of this Python or of one that uv brings; return the status."""
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return run([sys.executable, "-m", "venv", str(venv)])

    current = f"{sys.executable} is Python {platform.python_version()}, {EXPECTED}"
    if shutil.which("uv") is None:
        print(
            f"error: {current}; name one: make PYTHON=python3.12; or install uv, which brings one",
            file=sys.stderr,
        )
        return 1
    print(f"note: {current}: uv brings 3.13", flush=True)
    status = run(["uv", "venv", "--allow-existing", "--python", "3.13", str(venv)])
    # This Python has no pip, but it brings one with it; the docs call it `pip`.
    return status or run([str(venv / "bin/python"), "-m", "ensurepip", "--default-pip"])


def install(lock: Path, python: Path) -> int:
    """Install the lock by uv, or else by pip; return the status."""
    pip = [str(python), "-m", "pip"]
    try:
        install_by_uv(lock, python, pip)
    except CannotUseUvError as error:
        print(f"note: pip installs, which takes longer than uv: {error}", flush=True)
        if "UV_TORCH_BACKEND" in os.environ:
            print("note: pip does not follow UV_TORCH_BACKEND", flush=True)
        return run([*pip, "install", "--requirement", str(lock)])
    return 0


def install_by_uv(lock: Path, python: Path, pip: Sequence[str]) -> None:
    """Install the lock by uv; CannotUseUvError if that is not possible."""
    listing = subprocess.run([*pip, "config", "list"], stdout=subprocess.PIPE, text=True)
    if listing.returncode != 0:
        raise CannotUseUvError(f"`pip config list` failed with status {listing.returncode}")
    variables = translate_pip_options(parse_pip_options(listing.stdout), os.environ)

    uv = find_uv(lock, python, pip)
    # For the oldest Python of the lock, which pyproject.toml names, uv would take other files.
    version = run_and_read([str(python), "-c", "import platform; print(platform.python_version())"])
    options = ["--python", str(python), "--python-version", version.strip()]
    if sys.dont_write_bytecode:
        # As in many containers: each process would compile PyTorch and scikit-learn anew. pip
        # compiles always, uv does not.
        options.append("--compile-bytecode")
    status = run([uv, "pip", "install", *options, "--requirement", str(lock)], variables)
    if status != 0:
        raise CannotUseUvError(f"{uv} failed with status {status}, see above")


def find_uv(lock: Path, python: Path, pip: Sequence[str]) -> str:
    """Return the uv of PATH; or else install the uv of the lock, and return that."""
    uv = shutil.which("uv")
    if uv is not None and parse_uv_version(run_and_read([uv, "--version"])) >= OLDEST_UV:
        return uv

    pin = re.search(r"^uv==[\w.]+", lock.read_text(encoding="utf-8"), re.MULTILINE)
    if pin is None:
        raise CannotUseUvError(f"no uv in PATH, and none in {lock}")
    if run([*pip, "install", "--quiet", pin[0]]) != 0:
        raise CannotUseUvError(f"pip cannot install {pin[0]}, see above")
    return str(python.with_name("uv"))


def parse_uv_version(output: str) -> tuple[int, ...]:
    """Return the version that `uv --version` prints, such as (0, 13, 9); () if it is not one."""
    match = re.match(r"uv (\d+)\.(\d+)\.(\d+)", output)
    return tuple(int(part) for part in match.groups()) if match else ()


def parse_pip_options(listing: str) -> dict[str, str]:
    """Return the options of `pip install` in the output of `pip config list`.

    The environment goes before the section of the command, and this before the global one.
    """
    options: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in listing.splitlines():
            if line.startswith(section):
                name, _, value = line[len(section) :].partition("=")
                options[name] = ast.literal_eval(value)
    return options


def translate_pip_options(
    options: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that tell uv what pip's options say.

    environment: its variables stay as they are. CannotUseUvError for an option that uv lacks.
    """
    unknown_options = options.keys() - UV_VARIABLES.keys() - HARMLESS_OPTIONS
    if unknown_options:
        names = ", ".join(sorted(unknown_options))
        raise CannotUseUvError(f"it would not follow pip's configuration of {names}")

    variables = {}
    for option, (variable, separator) in UV_VARIABLES.items():
        values = options.get(option, "").split()
        if values and variable not in environment:
            variables[variable] = separator.join(values)
    # pip compares the versions of all indexes.
    if "UV_INDEX" in variables and "UV_INDEX_STRATEGY" not in environment:
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def run(command: Sequence[str], variables: Mapping[str, str] | None = None) -> int:
    """Run a command, with these variables in addition; return its status."""
    try:
        return subprocess.run(command, env={**os.environ, **(variables or {})}).returncode
    except OSError as error:  # It cannot be started.
        print(error, file=sys.stderr)
        return 1


def run_and_read(command: Sequence[str]) -> str:
    """Return what a command prints to its standard output; "" if it cannot be started."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
    except OSError:
        return ""


if __name__ == "__main__":
    main()
