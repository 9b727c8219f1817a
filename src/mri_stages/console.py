"""How every command shows progress, and ends: quietly, or with an error in one line."""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from io import TextIOWrapper
from typing import NoReturn

from tqdm import tqdm

from mri_stages.errors import NO_MEMORY, OUT_OF_MEMORY, InputError

SECONDS_BETWEEN_LINES = 20  # of progress


def run_command(main: Callable[[], None]) -> None:
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
        sys.exit(f"error: {OUT_OF_MEMORY}: {make_printable(str(error))}")
    except (InputError, OSError) as error:
        sys.exit(f"error: {make_printable(str(error))}")


def make_printable(text: str) -> str:
    """Return `text` in one line; a name from a file may hold what steers a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))


@cache
def print_once(line: str) -> None:
    """Print the line the first time only: a process may train the same network many times."""
    print(line, flush=True)


@contextmanager
def show_progress(total: int, label: str, unit: str) -> Iterator[Callable[[int], None]]:
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


def parse_model_argument(stage: str, models: Iterable[str]) -> str:
    """Return the model that the command line names; InputError if params.yaml lacks it."""
    parser = OneLineParser(prog=f"python -m stages.{stage}")
    parser.add_argument("model", help="a name under `models` in params.yaml")
    name: str = parser.parse_args().model
    if name not in models:
        raise InputError(f"params.yaml: {stage} has no {name!r}, expected {', '.join(models)}")
    return name
