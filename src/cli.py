"""How every command ends: quietly, or in one line on stderr with exit status 1."""

import argparse
import gc
import signal
import sys
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from typing import NoReturn


class InputError(Exception):
    """Something a user can mend: names the file or key, what was found, what was expected."""


def run(main: Callable[[], None]) -> None:
    """Call `main`; an InputError, Ctrl-C, a want of disk, memory or permission end in one line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a class name may have letters that it lacks
            stream.reconfigure(errors="backslashreplace")
    gc.freeze()  # what the imports made lives to the end: half a second to look over, after torch
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:  # see stages/__init__.py
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        print("error: stopped by Ctrl-C", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except MemoryError as error:
        sys.exit(f"error: not enough memory: {error}")
    except RuntimeError as error:  # PyTorch's want of memory: it has no class of its own on a CPU
        message = str(error)
        if "can't allocate memory" not in message and "out of memory" not in message:
            raise
        sys.exit(f"error: not enough memory: {' '.join(message.split())[:200]}")
    except (InputError, OSError) as error:
        line = " ".join(str(error).split())
        # A name from a file may hold what steers a terminal.
        sys.exit("error: " + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are InputErrors."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message}; --help lists the arguments")


def model_argument(stage: str, models: Iterable[str]) -> str:
    """The model that the command line names; InputError if params.yaml has no such model."""
    parser = OneLineParser(prog=f"python -m stages.{stage}")
    parser.add_argument("model", help="a name under `models` in params.yaml")
    name: str = parser.parse_args().model
    if name not in models:
        raise InputError(
            f"params.yaml: models has no {name!r}, expected one of {', '.join(models)}"
        )
    return name
