"""Atomic writes: a temporary file, fsync, rename. Reading with one-line errors."""

import csv
import errno
import glob
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import psutil
from pydantic import Field, TypeAdapter, ValidationError

from mri_stages.errors import InputError

T = TypeVar("T")
NO_ROOM_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of the disk, a quota, `ulimit -f`
REMAKE = "delete it and run 'mri-stages repro'"
# What tables of users have where there is no value, in small letters.
MISSING_WORDS = ("", "na", "n/a", "#n/a", "<na>", "nan", "null")


@contextmanager
def write_atomically(path: Path, n_bytes: int = 0) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or fill a folder; rename it to `path` at the end.

    An out may be a read-only link into DVC's cache, so it is replaced and never written to. The
    name holds the process id, because a stage can outlive its DVC and run beside the next one.
    InputError if there is no room for the `n_bytes` of a file.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    remove_partials_of_dead_processes(path)
    path.parent.mkdir(parents=True, exist_ok=True)

    try:
        yield partial
        flush_to_disk(partial)
        replace_path(partial, path)
    except (OSError, RuntimeError) as error:
        cause = find_cause(error)
        if cause is None or cause.errno not in NO_ROOM_ERRORS:
            raise
        remove_path(partial)  # the message tells how much is free without it
        raise describe_missing_room(path, n_bytes, cause) from None
    finally:
        remove_path(partial)


def check_new_file(path: Path, option: str) -> None:
    """Raise InputError, which names the option, if no file can be written at `path`."""
    if path.is_dir():
        raise InputError(f"{option} {path}: is a folder, expected a file")
    # A rename would put a file in the place of a device, such as /dev/null, or of a pipe.
    if path.exists() and not path.is_file():
        raise InputError(f"{option} {path}: is a device or a pipe, expected a file")
    check_parents(path, option)


def check_parents(path: Path, option: str) -> None:
    """Raise InputError, which names the option, if `path` lies below a file."""
    for folder in path.parents:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{option} {path}: {folder} is a file, expected a folder")


def remove_partials_of_dead_processes(path: Path) -> None:
    """Remove what processes that have ended, or this one, left beside `path`."""
    for file in path.parent.glob(f"{glob.escape(path.name)}.*.partial"):
        ending = file.name.removeprefix(f"{path.name}.")
        match = re.fullmatch(r"(\d{1,9})(\.old)?\.partial", ending)
        if match is None:
            continue
        process_id = int(match[1])
        if process_id == os.getpid() or not psutil.pid_exists(process_id):
            remove_path(file)


def flush_to_disk(path: Path) -> None:
    """Write a file, or all files of a folder, from the memory of the system to the disk."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file_path in files:
        with file_path.open("rb+") as file:
            os.fsync(file.fileno())


def replace_path(partial: Path, path: Path) -> None:
    """Move a file or folder to `path`, in place of what is there."""
    if not path.is_dir():
        partial.replace(path)
        return

    # A rename takes a file's place, but not that of a folder with content.
    old_folder = path.replace(partial.with_suffix(".old.partial"))
    partial.replace(path)
    remove_path(old_folder)


def find_cause(error: OSError | RuntimeError) -> OSError | None:
    """Return the OSError behind an error: torch.save turns it into a RuntimeError."""
    if isinstance(error, OSError):
        return error
    if isinstance(error.__context__, OSError):
        return error.__context__
    return None


def describe_missing_room(path: Path, n_bytes: int, error: OSError) -> InputError:
    """Return an InputError that names the file, its size and the room that there is."""
    # A file of a folder lies in the folder's partial: the message names it as it will be.
    name = re.sub(r"\.\d+\.partial/", "/", path.as_posix())
    size = f"{name}: {error.strerror}: it takes {n_bytes:,} bytes"
    if error.errno == errno.EFBIG:
        return InputError(f"{size}, more than this process may write (see ulimit -f)")
    free_bytes = shutil.disk_usage(path.parent).free
    return InputError(f"{size}, {free_bytes:,} are free; make room and run it again")


def remove_path(path: Path) -> None:
    """Remove a file, or a folder with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file, or leave the old one."""
    with write_atomically(path, len(data)) as partial:
        partial.write_bytes(data)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write strict JSON (NaN and infinity raise ValueError), one key per line, in this order."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


@contextmanager
def explain_read_errors(path: Path) -> Iterator[None]:
    """Turn errors of reading or parsing a stage's file into InputErrors."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; 'mri-stages repro' makes it") from None
    except ValidationError as error:
        first_error = error.errors()[0]
        place = "".join(f"{part}: " for part in first_error["loc"])
        raise InputError(f"{path}: {place}{first_error['msg']}; {REMAKE}") from None
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: {error}; {REMAKE}") from None


def read_json(path: Path, kind: type[T]) -> T:
    """Return the JSON file as `kind`, a pydantic model or a type; InputError if it is not one."""
    with explain_read_errors(path):
        return TypeAdapter(kind).validate_json(path.read_bytes())


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV with Unix line ends; floats as Python's repr, which reads back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def read_csv(path: Path, kind: type[T], least: int = 1) -> list[T]:
    """Return the rows of a CSV with a header, `least` or more, each as `kind`; else InputError.

    An empty field is None.
    """
    rows_of_kind = Annotated[list[kind], Field(min_length=least)]  # type: ignore[valid-type]
    adapter: TypeAdapter[list[T]] = TypeAdapter(rows_of_kind)
    with explain_read_errors(path):
        return adapter.validate_python(parse_csv(path))


def parse_csv(path: Path) -> list[dict[str, str | None]]:
    """Return the rows of a CSV as texts by column; ValueError if one is longer than the header."""
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for texts in csv.DictReader(file):
            if None in texts:  # DictReader puts there what is behind the last column
                raise ValueError("a row is longer than the header")
            rows.append({key: text or None for key, text in texts.items()})
    return rows


def is_missing(text: str) -> bool:
    """Return whether a field of a table holds no value: it is empty, or a word for that."""
    return text.strip().lower() in MISSING_WORDS
