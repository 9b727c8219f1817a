"""Commands of this checkout in new processes that have the large libraries already.

A stage imports PyTorch and scikit-learn for seconds, and a test needs only its own part of the
work. So one server imports them once, and each command is a fork of it. The code of this project is
imported by each command anew.
"""

import io
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

Completed = subprocess.CompletedProcess[str]

LIBRARIES = [
    "matplotlib.pyplot",
    "onnx",
    "pydantic",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "torch.optim",
    "yaml",
]
NO_LIMIT = -1


def run_module(
    folder: Path,
    arguments: list[str],
    environment: Mapping[str, str],
    max_file_bytes: int = NO_LIMIT,
) -> Completed:
    """Run `python -m MODULE ...` in the folder, as `subprocess.run` would.

    max_file_bytes: of each file that it writes; on Windows, where nothing forks, no limit is taken.
    """
    if sys.platform == "win32":
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    readers, writers = zip(*(context.Pipe(duplex=False) for _ in range(2)), strict=True)
    target_arguments = (folder, arguments, dict(environment), max_file_bytes, writers)
    process = context.Process(target=_run, args=target_arguments)
    process.start()
    for writer in writers:
        writer.close()
    with ThreadPoolExecutor() as executor:
        stdout, stderr = executor.map(_read_all, readers)
    process.join()
    assert process.exitcode is not None
    return Completed(["python", "-m", *arguments], process.exitcode, stdout, stderr)


def _read_all(reader: Connection) -> str:
    with reader, open(reader.fileno(), encoding="utf-8", closefd=False) as file:
        return file.read()


def _run(
    folder: Path,
    arguments: list[str],
    environment: Mapping[str, str],
    max_file_bytes: int,
    writers: Sequence[Connection],
) -> None:
    """Be the command: this is a fork that ends with it."""
    import resource  # not on Windows

    for descriptor, writer in enumerate(writers, start=1):
        os.dup2(writer.fileno(), descriptor)
        writer.close()
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding, "backslashreplace")
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = ["", *environment["PYTHONPATH"].split(os.pathsep)]
    sys.argv = arguments
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
