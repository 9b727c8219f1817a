"""Whole files or none: written beside their place, flushed to disk, then renamed."""

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
from typing import Any

from src.cli import InputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of the disk, a quota, `ulimit -f`


@contextmanager
def replacing(path: Path, n_bytes: int = 0) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or fill a folder; rename it to `path` at the end.

    After an error, or when the process is killed, what stood at `path` still stands there (a folder
    may stand beside it, as .old.partial, if the kill hits between two renames). An out may be a
    read-only link into DVC's cache, so it is replaced, never written to. Each process has a name of
    its own for what it writes: a stage can outlive its DVC and run beside the next.

    `n_bytes`: what a file takes, for the InputError when there is no room for it.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    for left in path.parent.glob(f"{glob.escape(path.name)}.*.partial"):
        pid = re.fullmatch(r"(\d+)(\.old)?\.partial", left.name.removeprefix(f"{path.name}."))
        if pid and not is_another_process(int(pid[1])):
            remove(left)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        for file in sorted(partial.iterdir()) if partial.is_dir() else [partial]:
            with file.open("rb+") as written:
                os.fsync(written.fileno())
        if path.is_dir():  # replace() replaces a file, but no folder that holds something
            old = path.replace(partial.with_suffix(".old.partial"))
            partial.replace(path)
            remove(old)
        else:
            partial.replace(path)
    except (OSError, RuntimeError) as error:
        # torch.save makes a RuntimeError of what went wrong in writing.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError) or cause.errno not in NO_ROOM:
            raise
        remove(partial)
        raise no_room(path, n_bytes, cause) from None
    finally:
        remove(partial)


def reserve(path: Path, n_bytes: int) -> None:
    """Make `path` a file of `n_bytes` zeros, to map into memory; InputError if there is no room.

    In a file with holes, a want of room would show as SIGBUS in the middle of the work.
    """
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            else:
                file.truncate(n_bytes)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        remove(path)
        raise no_room(path, n_bytes, error) from None


def no_room(path: Path, n_bytes: int, error: OSError) -> InputError:
    """What to say of a file that the disk, a quota or a limit has no room for."""
    name = re.sub(r"\.\d+\.partial/", "/", path.as_posix())
    wanted = f"{name}: {error.strerror}: it takes {n_bytes:,}"
    if error.errno == errno.EFBIG:
        return InputError(f"{wanted} bytes, more than this process may write (see ulimit -f)")
    free = shutil.disk_usage(path.parent).free
    return InputError(f"{wanted} bytes, {free:,} are free; make room and run it again")


def is_another_process(pid: int) -> bool:
    """Whether a process of that id runs, other than this one."""
    if pid == os.getpid() or os.name != "posix":  # on Windows, os.kill would end it
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder with all it holds; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """The file at `path` in one go."""
    with replacing(path, len(data)) as partial:
        partial.write_bytes(data)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Strict JSON (NaN and infinity raise ValueError), a key a line, keys in their order."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """The value in a JSON file; InputError if it is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no readable JSON ({error})") from None


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV with Unix line ends; floats as Python's repr, which reads back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def read_csv(path: Path, columns: Mapping[str, type] = {}) -> list[dict[str, str]]:
    """The rows of a CSV with a header, each as a mapping of column to text.

    InputError if a row is not as long as the header, or a column is missing or not of its type.
    """
    mend = "delete it and run 'dvc repro'"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        if any(None in row or None in row.values() for row in rows):
            raise ValueError("a row is longer or shorter than the header")
        for column, kind in columns.items():
            for row in rows:
                kind(row[column])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; 'dvc repro' makes it") from None
    except KeyError as column:
        raise InputError(f"{path}: no column {column}; {mend}") from None
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: no readable table ({error}); {mend}") from None
    if not rows:
        raise InputError(f"{path}: no rows, expected one at least; {mend}")
    return rows
