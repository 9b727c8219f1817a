"""Write the images of a raw folder as rows, in the smallest format that gives them back."""

from contextlib import suppress
from pathlib import Path

import torch

from mri_stages.ingest.raw_folder import Raw, to_float_images
from mri_stages.storage.arrays import (
    FormatError,
    StorageFormat,
    encode_rows,
    iterate_chunks,
    list_storage_formats,
    write_array,
)

FLOAT32_BYTES = 4


def write_smallest_format(folder: Path, raw: Raw, source: Path) -> StorageFormat:
    """Write x_train.npy and x_test.npy in the smallest format that fits both; return the format.

    `source` is the raw folder, whose files the messages name.
    """
    n_channels = raw.images["train"].shape[1]
    *smaller_formats, lossless_format = list_storage_formats(n_channels)
    for storage_format in smaller_formats:
        with suppress(FormatError):
            write_splits(folder, raw, source, storage_format)
            return storage_format
    write_splits(folder, raw, source, lossless_format)
    return lossless_format


def write_splits(folder: Path, raw: Raw, source: Path, storage_format: StorageFormat) -> None:
    """Write the images of train and test in this format; FormatError if one does not fit it."""
    for split, images in raw.images.items():
        write_rows(
            folder / f"x_{split}.npy", images, source / f"{split}_data.pt", storage_format, split
        )


def write_rows(
    path: Path, images: torch.Tensor, source: Path, storage_format: StorageFormat, split: str
) -> None:
    """Write images (N, C, H, W) as rows (N, D) in chunks; FormatError if one does not fit."""
    n_rows, n_channels, height, width = images.shape
    row_bytes = FLOAT32_BYTES * n_channels * height * width
    rows = (
        encode_rows(to_float_images(images[chunk], source, chunk.start), storage_format)
        for chunk in iterate_chunks(n_rows, row_bytes, f"load {split}")
    )
    shape = (n_rows, storage_format.channels * height * width)
    write_array(path, shape, storage_format.dtype, rows)
