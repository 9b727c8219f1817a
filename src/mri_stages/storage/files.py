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
from typing import Annotated, Any, TypeVar

import psutil
from pydantic import Field, TypeAdapter, ValidationError

from mri_stages.errors import InputError

T = TypeVar("T")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of the disk, a quota, `ulimit -f`
REMAKE = "delete it and run 'dvc repro'"


@contextmanager
def write_atomically(path: Path, n_bytes: int = 0) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or fill a folder; rename it to `path` at the end.

    An out may be a read-only link into DVC's cache, so it is replaced and never written to. The
    name holds the process id, because a stage can outlive its DVC and run beside the next one.
    InputError if there is no room for the `n_bytes` of a file.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    _remove_partials_of_dead_processes(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        for file in sorted(partial.iterdir()) if partial.is_dir() else [partial]:
            with file.open("rb+") as written:
                os.fsync(written.fileno())
        if path.is_dir():  # replace() takes a file's place, but not that of a folder with content
            old = path.replace(partial.with_suffix(".old.partial"))
            partial.replace(path)
            remove_path(old)
        else:
            partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save turns an OSError into a RuntimeError
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError) or cause.errno not in NO_ROOM:
            raise
        remove_path(partial)
        raise _no_room(path, n_bytes, cause) from None
    finally:
        remove_path(partial)


def _remove_partials_of_dead_processes(path: Path) -> None:
    for left in path.parent.glob(f"{glob.escape(path.name)}.*.partial"):
        name = re.fullmatch(r"(\d{1,9})(\.old)?\.partial", left.name.removeprefix(f"{path.name}."))
        if name and (int(name[1]) == os.getpid() or not psutil.pid_exists(int(name[1]))):
            remove_path(left)


def _no_room(path: Path, n_bytes: int, error: OSError) -> InputError:
    name = re.sub(r"\.\d+\.partial/", "/", path.as_posix())
    wanted = f"{name}: {error.strerror}: it takes {n_bytes:,}"
    if error.errno == errno.EFBIG:
        return InputError(f"{wanted} bytes, more than this process may write (see ulimit -f)")
    free = shutil.disk_usage(path.parent).free
    return InputError(f"{wanted} bytes, {free:,} are free; make room and run it again")


def remove_path(path: Path) -> None:
    """Remove a file, or a folder with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    with write_atomically(path, len(data)) as partial:
        partial.write_bytes(data)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write strict JSON (NaN and infinity raise ValueError), one key per line, in this order."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


@contextmanager
def explain_read_errors(path: Path) -> Iterator[None]:
    """Raise InputError in place of what can go wrong with a file that a stage made."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; 'dvc repro' makes it") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise InputError(f"{path}: {where}{first['msg']}; {REMAKE}") from None
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
    with explain_read_errors(path), path.open(encoding="utf-8", newline="") as file:
        rows = [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]
        if any(None in row for row in rows):
            raise ValueError("a row is longer than the header")
        return adapter.validate_python(rows)
