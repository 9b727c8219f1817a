"""Read image files and tensors as a trained model takes them: as the training images were read."""

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.console import show_progress
from mri_stages.errors import InputError
from mri_stages.export.trained_model import TrainedModel
from mri_stages.ingest import file_tree
from mri_stages.ingest.fitting import fit_image
from mri_stages.ingest.formats import open_pictures, select_images
from mri_stages.ingest.image_file import FEW_LEVELS_NOTE
from mri_stages.ingest.image_set import FilePath
from mri_stages.ingest.import_options import PixelOptions, collect_options
from mri_stages.ingest.raw_folder import read_images, to_float_images
from mri_stages.ingest.tensor_file import read_tensor
from mri_stages.storage.arrays import Shape, to_pixels

TENSOR_SUFFIX = ".pt"
ZIP_SUFFIX = ".zip"
# Of two options that exclude each other, the one on the command line counts.
EXCLUSIVE_OPTIONS = {"window": "percentiles", "percentiles": "window"}


class InputImage(NamedTuple):
    """One image, ready for a model."""

    name: str  # FILE, or FILE:INDEX of a row of a tensor or a slice of a volume
    pixels: NDArray[np.float32]  # (C, H, W)


class InputFile(NamedTuple):
    """A file that somebody wants predicted."""

    path: FilePath
    name: str  # as the command line has it: FILE, or FOLDER/FILE, or ZIP/FILE


def list_files(sources: Sequence[str]) -> list[InputFile]:
    """Return the files among `sources`, and the visible images in the folders and zips among them.

    The images of a folder are sorted by name.
    """
    files: list[InputFile] = []
    for source in map(Path, sources):
        if source.is_dir() or source.suffix.lower() == ZIP_SUFFIX:
            files += list_visible_images(source)
        else:
            files.append(InputFile(source, str(source)))
    return files


def list_visible_images(source: Path) -> list[InputFile]:
    """Return the images in a folder or zip and its subfolders, without hidden files and folders."""
    if not source.exists():
        raise InputError(f"{source}: no such file")
    tree = file_tree.list_files(source)
    files = [InputFile(tree[parts], str(source.joinpath(*parts))) for parts in select_images(tree)]
    if not files:
        raise InputError(f"{source}: no image in it")
    return files


def merge_options(given: Mapping[str, Any], model: TrainedModel) -> PixelOptions:
    """Return the options of the import of the training images, except for the given ones.

    given: the values of single fields of `PixelOptions`. ArgumentError if they do not go together.
    """
    values = {name: getattr(model.import_options, name) for name in PixelOptions.model_fields}
    for name, other_name in EXCLUSIVE_OPTIONS.items():
        if name in given and other_name not in given:
            values[other_name] = None
    return collect_options(PixelOptions, Namespace(**{**values, **given}))


def list_option_warnings(options: PixelOptions, place: str, model: TrainedModel) -> list[str]:
    """Return a warning for each option that differs from the one of the training images.

    place: where `options` are, such as "on the command line". Options of which no value was set are
    those of tensors that no import wrote: nobody knows how their images were read.
    """
    trained_options = model.import_options
    if not options.model_fields_set or not trained_options.model_fields_set:
        return []
    warnings = []
    for name in PixelOptions.model_fields:
        value = getattr(options, name)
        trained_value = getattr(trained_options, name)
        if value != trained_value:
            warnings.append(
                f"warning: {format_option(name, value)} {place}, but "
                f"{format_option(name, trained_value)} for the training images "
                f"({model.options_file})"
            )
    return warnings


def format_option(name: str, value: object) -> str:
    """Return an option as the command line has it, such as "--resize 36 40", or "no --resize"."""
    if value is None:
        return f"no --{name}"
    numbers = value if isinstance(value, tuple) else (value,)
    texts = [f"{number:g}" if isinstance(number, float) else str(number) for number in numbers]
    return " ".join([f"--{name}", *texts])


class ReadingNotes:
    """Counts how images were converted, with the first image of each kind of note."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self.first_names: dict[str, str] = {}

    def add(self, name: str, notes: Iterable[str]) -> None:
        for note in notes:
            self.counts[note] += 1
            self.first_names.setdefault(note, name)

    def list_lines(self) -> list[str]:
        """Return one line for each kind of note."""
        lines = []
        for note, count in self.counts.items():
            word = "warning" if note == FEW_LEVELS_NOTE else "note"
            lines.append(f"{word}: {count} of the images, such as {self.first_names[note]}, {note}")
        return lines


def read_inputs(
    files: Sequence[InputFile], model: TrainedModel, options: PixelOptions, notes: ReadingNotes
) -> Iterator[InputImage]:
    """Yield all images of the files; InputError names a file that the model cannot take.

    options: of image files, not of tensors. `notes` counts how images were converted.
    """
    with show_progress(len(files), "predict", "file", sys.stderr) as advance:
        for file in files:
            if isinstance(file.path, Path) and file.path.suffix == TENSOR_SUFFIX:
                yield from read_tensor_rows(file.path, model.image_shape)
            elif model.has_unit_range:
                yield from read_pictures(file, model.image_shape, options, notes)
            else:
                raise InputError(
                    f"{file.name}: an image file has pixels from 0 to 1, the model was trained on "
                    "others; save a .pt tensor on the scale of the training tensors"
                )
            advance(1)


def read_tensor_rows(path: Path, image_shape: Shape) -> Iterator[InputImage]:
    """Yield the images of a .pt tensor (N, C, H, W)."""
    images = read_images(path, notes=[])
    if images.shape[1:] != image_shape:
        saved_shape = tuple(read_tensor(path).shape)  # `read_images` may have added channels
        hint = "; save one image x as x[None]" if saved_shape == image_shape else ""
        expected_shape = ", ".join(["N", *map(str, image_shape)])
        raise InputError(
            f"{path}: a tensor of shape {saved_shape}, expected ({expected_shape}) as in "
            f"training{hint}"
        )
    for row in range(len(images)):
        pixels = to_float_images(images[row : row + 1], path, row)
        yield InputImage(f"{path}:{row}", pixels[0])


def read_pictures(
    file: InputFile, image_shape: Shape, options: PixelOptions, notes: ReadingNotes
) -> Iterator[InputImage]:
    """Yield the image of a file, or the slices of a volume."""
    for name, picture, *_ in open_pictures(file.path, file.name, options):
        image_notes = Counter[str]()
        image = fit_image(picture.read(image_notes), options, image_notes)
        notes.add(name, image_notes)
        yield InputImage(name, to_model_pixels(image, name, image_shape))


def to_model_pixels(image: NDArray[np.uint8], name: str, image_shape: Shape) -> NDArray[np.float32]:
    """Return the pixels (C, H, W) of an RGB image (3, H, W), from 0 to 1; else InputError."""
    channels, height, width = image_shape
    if channels == 1 and (image == image[:1]).all():
        image = image[:1]

    if len(image) != channels:
        raise InputError(f"{name}: a colour image, expected {channels} channels; convert it")
    if image.shape[1:] != (height, width):
        raise InputError(
            f"{name}: {image.shape[1]} x {image.shape[2]} pixels, expected {height} x {width} as "
            f"in training; crop it, or rescale it with --resize {height} {width}"
        )
    return to_pixels(image)
