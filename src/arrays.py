"""The pipeline's arrays on disk: NumPy's .npy format, read as a memory map, written in parts."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from tqdm import tqdm

from src.cli import InputError
from src.files import replacing

CHUNK_BYTES = 2**26  # rows are worked on in parts of 64 MiB, however many there are


def read_array(path: Path) -> NDArray[Any]:
    """The array at `path`, memory-mapped copy-on-write; InputError if it is no whole .npy file.

    Copy-on-write rather than read-only, since PyTorch warns of arrays that it could not write to.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; 'dvc repro' makes it") from None
    except (ValueError, EOFError) as error:
        raise InputError(
            f"{path}: no whole .npy array ({error}); delete it and run 'dvc repro'"
        ) from None
    return array


def write_array(
    path: Path, shape: tuple[int, ...], dtype: DTypeLike, chunks: Iterable[NDArray[Any]]
) -> None:
    """Write an array of `shape` and `dtype` from `chunks` of its rows, one after the other.

    Plain writes rather than a memory map: what is written never counts as the process's memory.
    """
    header = {
        "shape": shape,
        "fortran_order": False,
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
    }
    with replacing(path) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk, dtype).data)


def row_slices(n_rows: int, row_bytes: int, label: str) -> Iterator[slice]:
    """Slices that cut `n_rows` into chunks of about CHUNK_BYTES, with a progress bar."""
    rows = max(1, CHUNK_BYTES // max(1, row_bytes))
    with tqdm(total=n_rows, desc=label, unit="row", disable=None) as progress:
        for start in range(0, n_rows, rows):
            chunk = slice(start, min(start + rows, n_rows))
            yield chunk
            progress.update(chunk.stop - chunk.start)
