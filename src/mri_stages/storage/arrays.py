"""Arrays on disk: NumPy's .npy format, read as a memory map, written in parts.

Images are stored losslessly as rows (N, D). Equal channels are stored once, so that D is H * W.
Pixels that are all k/255 are stored as uint8 k.
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
HEADER_BYTES = 128  # of a .npy file
MAX_GREY = 255

Shape = tuple[int, int, int]  # channels, height, width of an image


def read_array(path: Path) -> NDArray[Any]:
    """Return the array at `path`, memory-mapped copy-on-write; InputError if it is not .npy."""
    with explain_read_errors(path):
        # It never reads a pickle. PyTorch warns of arrays to which it cannot write.
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="c")
    return array


def read_rows(path: Path, image_shape: Shape) -> NDArray[Any]:
    """Return the images at `path` as stored: rows (N, D), uint8 or float32."""
    stored = read_array(path)
    channels, height, width = image_shape
    widths = (height * width, channels * height * width)

    is_matrix = stored.ndim == 2 and len(stored) > 0
    has_known_width = is_matrix and stored.shape[1] in widths
    has_known_dtype = stored.dtype in (np.uint8, np.float32)
    if not (has_known_width and has_known_dtype):
        raise InputError(
            f"{path}: {stored.dtype} of shape {stored.shape}, expected rows of images "
            f"{image_shape} of uint8 or float32; {REMAKE}"
        )
    return stored


def has_no_rows(path: Path) -> bool:
    """Return whether a .npy file of no row lies at `path`."""
    return path.is_file() and path.stat().st_size == HEADER_BYTES


def select_rows(parts: Sequence[NDArray[Any]], indices: NDArray[np.int64]) -> NDArray[Any]:
    """Return a copy of the rows (n,) of arrays (m, D) whose rows share one running index."""
    rows = np.empty((len(indices), parts[0].shape[1]), parts[0].dtype)
    first_index = 0
    for part in parts:
        end_index = first_index + len(part)
        part_mask = (first_index <= indices) & (indices < end_index)
        rows[part_mask] = part[indices[part_mask] - first_index]
        first_index = end_index
    return rows


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
        raise InputError(
            f"{path}: {numbers.dtype} of shape {numbers.shape}, expected int64 of shape "
            f"({n_rows},); {REMAKE}"
        )
    if n_classes is not None and not 0 <= numbers.min() <= numbers.max() < n_classes:
        raise InputError(
            f"{path}: labels from {numbers.min()} to {numbers.max()}, expected 0 to "
            f"{n_classes - 1}; {REMAKE}"
        )
    return numbers


def to_pixels(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Return stored values as float32 pixels: uint8 grey levels k become k/255."""
    if stored.dtype == np.uint8:
        pixels: NDArray[np.float32] = np.divide(stored, MAX_GREY, dtype=np.float32)
        return pixels
    return stored


class StorageFormat(NamedTuple):
    """How the images of a data set are stored."""

    channels: int  # 1 where all are equal
    dtype: str  # uint8 where all pixels are k/255, else float32

    @property
    def pixel_bytes(self) -> int:
        """Return the bytes per pixel of an image."""
        return self.channels * np.dtype(self.dtype).itemsize


class FormatError(Exception):
    """An image does not fit the storage format."""


def list_storage_formats(channels: int) -> list[StorageFormat]:
    """Return the formats for images of `channels`, smallest first; the last fits every image."""
    formats = []
    for stored_channels in {1, channels}:
        for dtype in ("uint8", "float32"):
            formats.append(StorageFormat(stored_channels, dtype))
    return sorted(formats, key=lambda storage_format: storage_format.pixel_bytes)


def encode_rows(images: NDArray[np.float32], storage_format: StorageFormat) -> NDArray[Any]:
    """Return images (n, C, H, W) as rows (n, D) to store; FormatError if that loses anything."""
    stored_images = images[:, : storage_format.channels]
    left_out_images = images[:, storage_format.channels :]
    if not (left_out_images == images[:, :1]).all():
        raise FormatError

    rows = stored_images.reshape(len(images), -1)
    if storage_format.dtype == "float32":
        return rows

    with np.errstate(all="ignore"):  # NaN, -1 and 1e38 become some byte, which differs
        grey_rows = np.rint(rows * MAX_GREY).astype(np.uint8)
    if not (to_pixels(grey_rows) == rows).all():
        raise FormatError
    return grey_rows


def write_array(
    path: Path, shape: tuple[int, ...], dtype: DTypeLike, chunks: Iterable[NDArray[Any]]
) -> None:
    """Write an array from `chunks` of its rows.

    Unlike a memory map, this does not grow the resident memory.
    """
    header = {"shape": shape, "fortran_order": False, "descr": np.dtype(dtype).str}
    n_bytes = HEADER_BYTES + np.dtype(dtype).itemsize * math.prod(shape)
    with write_atomically(path, n_bytes) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk, dtype).data)


def iterate_chunks(n_rows: int, row_bytes: int, label: str) -> Iterator[slice]:
    """Yield slices that cut `n_rows` into chunks of about CHUNK_BYTES, with a progress bar."""
    n_chunk_rows = max(1, CHUNK_BYTES // max(1, row_bytes))
    with show_progress(n_rows, label, "row") as advance:
        for start in range(0, n_rows, n_chunk_rows):
            chunk = slice(start, min(start + n_chunk_rows, n_rows))
            yield chunk
            advance(chunk.stop - chunk.start)
