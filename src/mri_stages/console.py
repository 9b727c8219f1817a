"""Shared by all commands: one-line errors, arguments, progress, notes."""

import argparse
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from io import TextIOWrapper
from typing import NamedTuple, NoReturn, TextIO

from tqdm import tqdm

from mri_stages.errors import (
    BAD_INPUT_STATUS,
    NO_MEMORY_STATUS,
    ArgumentError,
    InputError,
    is_out_of_memory,
)

MAX_LISTED_NAMES = 6  # in a message
SECONDS_BETWEEN_PROGRESS_LINES = 20
CLOSED_OUTPUT_STATUS = 128 + 13  # 13 is SIGPIPE


def run_command(main: Callable[[], None]) -> None:
    """Call `main`. An error that a user can fix ends in one line.

    Each kind of error has an exit status. 0: done. 1: bad input, or no room on the disk. 2: wrong
    arguments. 75: not enough memory. 130: Ctrl-C. 141, without a word: the reader of the output is
    gone, as with `| head`. A command that handles SIGTERM ends with 143. Any other error is a fault
    of the program and shows its traceback.
    """
    escape_unprintable_output()
    try:
        try:
            main()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        exit_with_error("stopped by Ctrl-C", 128 + signal.SIGINT)
    except InputError as error:
        exit_with_error(str(error), error.status)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and is_output_closed():
            exit_silently()
        exit_with_error(str(error), BAD_INPUT_STATUS)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        exit_with_error(f"not enough memory: {error}", NO_MEMORY_STATUS)


def escape_unprintable_output() -> None:
    """Let the output escape what the terminal cannot show: a class name may hold any character."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_output_closed() -> bool:
    """Return whether nobody reads the output any more."""
    poll = select.poll()
    poll.register(sys.stdout, 0)  # errors are always reported
    return bool(poll.poll(0))


def exit_silently() -> NoReturn:
    """End this process with the status of a program that SIGPIPE has ended."""
    # Python flushes the output once more when it ends, and would print an error.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(CLOSED_OUTPUT_STATUS)


def exit_with_error(text: str, status: int) -> NoReturn:
    """Print the text in one line and end this process with the status."""
    print(f"error: {make_printable(text)}", file=sys.stderr)
    sys.exit(status)


def make_printable(text: str) -> str:
    """Return the text in one line, with escapes for characters that could steer a terminal."""
    line = " ".join(text.split())
    return "".join(
        character if character.isprintable() else escape(character) for character in line
    )


def print_errors(lines: Iterable[str]) -> None:
    """Print notes and warnings, so that the standard output has nothing but the result."""
    for line in lines:
        print(make_printable(line), file=sys.stderr)


def escape(character: str) -> str:
    """Return the character as Python writes it between quotes, such as \\x1b."""
    return ascii(character)[1:-1]


def list_some(names: Iterable[str]) -> str:
    """Return the first names, with commas between, and how many more there are."""
    names = list(names)
    text = ", ".join(names[:MAX_LISTED_NAMES])
    n_more = len(names) - MAX_LISTED_NAMES
    return f"{text} and {n_more} more" if n_more > 0 else text


def format_count(count: int, noun: str) -> str:
    """Return a number with its noun, such as "1 row" or "2,000 rows"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def align_columns(rows: Sequence[Sequence[str]], right_columns: Container[int] = ()) -> list[str]:
    """Return a line per row, each column as wide as its widest cell.

    A row may lack its last cells. right_columns: the numbers of the columns to the right.
    """
    n_columns = max(map(len, rows))
    full_rows = [[*row, *[""] * (n_columns - len(row))] for row in rows]
    widths = [max(map(len, column)) for column in zip(*full_rows, strict=True)]
    lines = []
    for row in full_rows:
        cells = []
        for place, (text, width) in enumerate(zip(row, widths, strict=True)):
            cells.append(f"{text:>{width}}" if place in right_columns else f"{text:<{width}}")
        lines.append("  ".join(cells).rstrip())
    return lines


@cache
def print_once(line: str) -> None:
    """Print the line the first time only: a process may train the same network many times."""
    print(line, flush=True)


@contextmanager
def show_progress(
    total: int, label: str, unit: str, log: TextIO | None = None
) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with each number of units done.

    A terminal shows a bar. A log, by default the standard output, gets a line from time to time.
    """
    n_done = 0
    last_line_time = time.monotonic()

    with tqdm(total=total, desc=label, unit=unit, disable=None) as bar:

        def advance(n_units: int) -> None:
            nonlocal n_done, last_line_time
            n_done += n_units
            bar.update(n_units)

            is_terminal = not bar.disable
            seconds = time.monotonic() - last_line_time
            if not is_terminal and seconds >= SECONDS_BETWEEN_PROGRESS_LINES:
                print(f"{label}: {n_done:,} of {total:,} {unit}s", file=log, flush=True)
                last_line_time = time.monotonic()

        yield advance


class Part(NamedTuple):
    """One of several equal parts of a stage, such as fold 2 of 5."""

    name: str
    number: int  # from 1
    total: int


class Progress(NamedTuple):
    """How far a training is."""

    epoch: int  # the last one that is done; 0 at the start
    n_epochs: int
    losses: Mapping[str, float]  # of that epoch, by name


ProgressListener = Callable[[Sequence[Part], Progress], None]
_parts: list[Part] = []
_listeners: list[ProgressListener] = []


@contextmanager
def enter_part(name: str, number: int, total: int) -> Iterator[None]:
    """Let listeners know that what is done meanwhile is one of several equal parts, from 1."""
    _parts.append(Part(name, number, total))
    try:
        yield
    finally:
        _parts.pop()


@contextmanager
def listen_to_progress(listener: ProgressListener) -> Iterator[None]:
    """Call the listener meanwhile, at the start of each training and after each epoch."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def announce_progress(epoch: int, n_epochs: int, **losses: float) -> None:
    """Tell all listeners how far a training is; without any, nothing is done."""
    for listener in _listeners:
        listener(_parts, Progress(epoch, n_epochs, losses))


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are ArgumentErrors, so that they end in one line."""

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(f"{self.prog}: {message}; --help lists the arguments")


def parse_model_argument(stage: str, models: Iterable[str]) -> str:
    """Return the model that the command line names; ArgumentError if params.yaml lacks it."""
    parser = OneLineParser(prog=f"python -m stages.{stage}")
    parser.add_argument("model", help="a name under `models` in params.yaml")
    name: str = parser.parse_args().model
    if name not in models:
        raise ArgumentError(f"params.yaml: {stage} has no {name!r}, expected {', '.join(models)}")
    return name
