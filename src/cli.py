"""How every command shows progress, and ends: quietly, or with an error in one line."""

import argparse
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from io import TextIOWrapper
from typing import NoReturn

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 20  # of progress
NO_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # of PyTorch, cuBLAS, cuDNN
OUT_OF_MEMORY = "not enough memory"
# In the output of a stage that had too little memory. The kernel ends such a process by SIGKILL.
HAD_NO_MEMORY = re.compile(f"{OUT_OF_MEMORY}|exited with (-9|137)")


class InputError(Exception):
    """Report what a user can fix: the file or key, what was found, what was expected."""


def run(main: Callable[[], None]) -> None:
    """Call `main`; end with one line after bad input, Ctrl-C, or too little disk or memory."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a class name may have letters that it lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
    except KeyboardInterrupt:
        print("error: stopped by Ctrl-C", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except (MemoryError, RuntimeError) as error:  # for a CPU, PyTorch has no class of its own
        if isinstance(error, RuntimeError) and not any(text in str(error) for text in NO_MEMORY):
            raise
        sys.exit(f"error: {OUT_OF_MEMORY}: {printable(str(error))}")
    except (InputError, OSError) as error:
        sys.exit(f"error: {printable(str(error))}")


def printable(text: str) -> str:
    """Return `text` in one line; a name from a file may hold what steers a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))


@cache
def say_once(line: str) -> None:
    """Print the line the first time only: a process may train the same network many times."""
    print(line, flush=True)


@contextmanager
def progress(total: int, label: str, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with each number of units done; show a bar, or lines in a log."""
    done, printed = 0, time.monotonic()
    with tqdm(total=total, desc=label, unit=unit, disable=None) as bar:

        def advance(n: int) -> None:
            nonlocal done, printed
            done += n
            bar.update(n)
            if bar.disable and time.monotonic() - printed >= SECONDS_BETWEEN_LINES:
                print(f"{label}: {done:,} of {total:,} {unit}s", flush=True)
                printed = time.monotonic()

        yield advance


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are InputErrors."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message}; --help lists the arguments")


def model_argument(stage: str, models: Iterable[str]) -> str:
    """Return the model that the command line names; InputError if params.yaml lacks it."""
    parser = OneLineParser(prog=f"python -m stages.{stage}")
    parser.add_argument("model", help="a name under `models` in params.yaml")
    name: str = parser.parse_args().model
    if name not in models:
        raise InputError(f"params.yaml: {stage} has no {name!r}, expected {', '.join(models)}")
    return name
