"""Read image files and tensors as a trained model takes them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.console import show_progress
from mri_stages.errors import InputError
from mri_stages.export.trained_model import TrainedModel
from mri_stages.ingest.fitting import fit_pixels
from mri_stages.ingest.image_file import SUFFIXES, read_image
from mri_stages.ingest.raw_folder import read_images, to_float_images
from mri_stages.storage.arrays import Shape, to_pixels


class InputImage(NamedTuple):
    """One image, ready for a model."""

    name: str  # FILE, or FILE:ROW of a tensor
    pixels: NDArray[np.float32]  # (C, H, W)


def list_files(sources: Sequence[str]) -> list[Path]:
    """Return the files among `sources`, and the visible images in the folders among them.

    The images of a folder are sorted by name.
    """
    files: list[Path] = []
    for source in map(Path, sources):
        if source.is_dir():
            files += list_visible_images(source)
        else:
            files.append(source)
    return files


def list_visible_images(folder: Path) -> list[Path]:
    """Return the images in a folder and its subfolders, without hidden files and folders."""
    images = []
    for path in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not is_hidden:
            images.append(path)
    if not images:
        raise InputError(f"{folder}: no image in this folder")
    return images


def read_inputs(
    files: Sequence[Path], model: TrainedModel, size: Sequence[int] | None
) -> Iterator[InputImage]:
    """Yield all images of the files; InputError names a file that the model cannot take.

    size: height and width to which image files, but not tensors, are stretched.
    """
    with show_progress(len(files), "predict", "file") as advance:
        for path in files:
            if path.suffix == ".pt":
                yield from read_tensor_rows(path, model.image_shape)
            elif model.has_unit_range:
                yield InputImage(str(path), read_pixels(path, model.image_shape, size))
            else:
                raise InputError(
                    f"{path}: an image file has pixels from 0 to 1, the model was trained on "
                    "others; save a .pt tensor on the scale of the training tensors"
                )
            advance(1)


def read_tensor_rows(path: Path, image_shape: Shape) -> Iterator[InputImage]:
    """Yield the images of a .pt tensor (N, C, H, W)."""
    images = read_images(path, notes=[])
    if images.shape[1:] != image_shape:
        raise InputError(
            f"{path}: a tensor of shape {tuple(images.shape)}, expected {('N', *image_shape)} as "
            "in training"
        )
    for row in range(len(images)):
        pixels = to_float_images(images[row : row + 1], path, row)
        yield InputImage(f"{path}:{row}", pixels[0])


def read_pixels(path: Path, image_shape: Shape, size: Sequence[int] | None) -> NDArray[np.float32]:
    """Return the pixels (C, H, W) of an image file, from 0 to 1."""
    channels, height, width = image_shape
    image = read_image(path)
    if size:
        image = fit_pixels(image, size)
    if channels == 1 and (image == image[:1]).all():
        image = image[:1]

    if len(image) != channels:
        raise InputError(f"{path}: a colour image, expected {channels} channels; convert it")
    if image.shape[1:] != (height, width):
        raise InputError(
            f"{path}: {image.shape[1]} x {image.shape[2]} pixels, expected {height} x {width} as "
            f"in training; crop it, or rescale it with --resize {height} {width}"
        )
    return to_pixels(image)
