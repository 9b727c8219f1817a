"""Arrays on disk: NumPy's .npy format, read as a memory map, written in parts.

Images are stored as rows (N, D) of their pixels, in the smallest format that gives them back: D is
H * W where all channels are equal, and uint8 grey levels k stand for pixels k/255.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray

from mri_stages.console import show_progress
from mri_stages.errors import InputError
from mri_stages.storage.files import REMAKE, explain_read_errors, write_atomically

CHUNK_BYTES = 2**20  # rows are processed in parts of 1 MiB, which stay in the CPU's cache

Shape = tuple[int, int, int]  # channels, height, width of an image


def read_array(path: Path) -> NDArray[Any]:
    """Return the array at `path`, memory-mapped copy-on-write; InputError if it is not .npy."""
    with explain_read_errors(
        path
    ):  # never a pickle; PyTorch warns of arrays that it cannot write to
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="c")
    return array


def read_rows(path: Path, image_shape: Shape) -> NDArray[Any]:
    """Return the images at `path` as stored: rows (N, D), uint8 or float32."""
    stored = read_array(path)
    channels, height, width = image_shape
    rows = stored.ndim == 2 and len(stored) > 0
    fits = rows and stored.shape[1] in (height * width, channels * height * width)
    if not fits or stored.dtype not in (np.uint8, np.float32):
        raise InputError(
            f"{path}: {stored.dtype} of shape {stored.shape}, expected rows of images "
            f"{image_shape} of uint8 or float32; {REMAKE}"
        )
    return stored


def select_rows(parts: Sequence[NDArray[Any]], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return a copy of the rows (n,) of `parts`, arrays (m, D) that are numbered through."""
    taken = np.empty((len(rows), parts[0].shape[1]), parts[0].dtype)
    first = 0
    for part in parts:
        chosen = (first <= rows) & (rows < first + len(part))
        taken[chosen] = part[rows[chosen] - first]
        first += len(part)
    return taken


def view_as_images(stored: NDArray[Any], image_shape: Shape) -> NDArray[Any]:
    """Return stored rows (N, D) as images (N, C, H, W), of which equal channels have stride 0."""
    channels, height, width = image_shape
    images = stored.reshape(len(stored), -1, height, width)
    strides = list(images.strides)
    if images.shape[1] < channels:
        strides[1] = 0
    return as_strided(images, (len(images), *image_shape), strides)


def read_integers(path: Path, n_rows: int, n_classes: int | None = None) -> NDArray[np.int64]:
    """Return labels below `n_classes`, or ids: (n_rows,) int64."""
    numbers = read_array(path)
    if numbers.shape != (n_rows,) or numbers.dtype != np.int64:
        found = f"{numbers.dtype} of shape {numbers.shape}"
        raise InputError(f"{path}: {found}, expected int64 of shape ({n_rows},); {REMAKE}")
    if n_classes is not None and not 0 <= numbers.min() <= numbers.max() < n_classes:
        found = f"labels from {numbers.min()} to {numbers.max()}"
        raise InputError(f"{path}: {found}, expected 0 to {n_classes - 1}; {REMAKE}")
    return numbers


def to_pixels(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Return stored values as float32 pixels: uint8 grey levels k become k/255."""
    return np.divide(stored, 255, dtype=np.float32) if stored.dtype == np.uint8 else stored


class StorageFormat(NamedTuple):
    channels: int  # 1 where all are equal
    dtype: str  # uint8 where all pixels are k/255, else float32


class FormatError(Exception):
    """An image does not fit the storage format."""


def list_storage_formats(channels: int) -> list[StorageFormat]:
    """Return the formats for images of `channels`, smallest first; the last fits every image."""
    found = [StorageFormat(c, dtype) for c in {1, channels} for dtype in ("uint8", "float32")]
    return sorted(found, key=lambda f: f.channels * np.dtype(f.dtype).itemsize)


def encode_rows(images: NDArray[np.float32], storage: StorageFormat) -> NDArray[Any]:
    """Return images (n, C, H, W) as rows (n, D) to store; FormatError if that loses anything."""
    rows = images[:, : storage.channels].reshape(len(images), -1)
    if not (images[:, storage.channels :] == images[:, :1]).all():
        raise FormatError
    if storage.dtype == "float32":
        return rows
    with np.errstate(all="ignore"):  # NaN, -1 and 1e38 become some byte, which differs
        grey = np.rint(rows * 255).astype(np.uint8)
    if not (to_pixels(grey) == rows).all():
        raise FormatError
    return grey


def write_array(
    path: Path, shape: tuple[int, ...], dtype: DTypeLike, chunks: Iterable[NDArray[Any]]
) -> None:
    """Write an array from `chunks` of its rows; unlike a map, they never count as our memory."""
    header = {"shape": shape, "fortran_order": False, "descr": np.dtype(dtype).str}
    n_bytes = 128 + np.dtype(dtype).itemsize * math.prod(shape)  # a header, then the values
    with write_atomically(path, n_bytes) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk, dtype).data)


def iterate_chunks(n_rows: int, row_bytes: int, label: str) -> Iterator[slice]:
    """Yield slices that cut `n_rows` into chunks of about CHUNK_BYTES, with a progress bar."""
    rows = max(1, CHUNK_BYTES // max(1, row_bytes))
    with show_progress(n_rows, label, "row") as advance:
        for start in range(0, n_rows, rows):
            chunk = slice(start, min(start + rows, n_rows))
            yield chunk
            advance(chunk.stop - chunk.start)
