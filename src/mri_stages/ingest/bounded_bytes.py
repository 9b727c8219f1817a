"""Read the bytes of a file up to a limit: a small zip or gzip may hold far more than memory."""

from pathlib import Path
from typing import IO

from mri_stages.ingest.image_set import FilePath, ImageError

MAX_FILE_BYTES = 2**29  # of a file with one image; the largest mammograms and slides have 2**26
PART_BYTES = 2**24  # that are read at once


def read_bounded(path: FilePath, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return all bytes of a file, or of a member of a zip; ImageError if they are above a limit."""
    if isinstance(path, Path):
        is_too_large = path.stat().st_size > max_bytes
        data = b"" if is_too_large else path.read_bytes()
    else:
        with path.open("rb") as file:
            data = read_part(file, max_bytes + 1)  # the size in the zip may be a lie
        is_too_large = len(data) > max_bytes
    if is_too_large:
        raise ImageError(path, "too large", f"above {max_bytes >> 20} MiB")
    return data


def read_part(stream: IO[bytes], n_bytes: int) -> bytes:
    """Return up to `n_bytes` of a stream; memory grows with what it holds, not with `n_bytes`."""
    parts: list[bytes] = []
    n_missing = n_bytes
    while n_missing > 0:
        part = stream.read(min(n_missing, PART_BYTES))
        if not part:
            break
        parts.append(part)
        n_missing -= len(part)
    return b"".join(parts)
