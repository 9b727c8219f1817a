"""Predict the classes of images with a trained model."""

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stages.export import with_scaler

from mri_stages.config.loading import read_params
from mri_stages.console import OneLineParser, make_printable, show_progress
from mri_stages.errors import InputError
from mri_stages.export.onnx_file import BATCH, Described, onnx_session
from mri_stages.ingest.image_file import SUFFIXES, read_image
from mri_stages.ingest.raw_folder import read_images, to_float_images
from mri_stages.ingest.subject_ids import read_subject_table
from mri_stages.storage.arrays import Shape, to_pixels
from mri_stages.storage.dataset import read_info
from mri_stages.storage.files import read_json, write_csv
from mri_stages.training.device import set_up_device


class Model(NamedTuple):
    classes: list[str]  # in label order
    image_shape: Shape
    of_shares: bool  # whether it was trained on pixels from 0 to 1, as image files are read
    # From pixels (n, C, H, W), n at most BATCH, to the three outputs of `WithScaler`.
    run: Callable[[NDArray[np.float32]], Sequence[NDArray[np.float32]]]


def main(argv: Sequence[str]) -> None:
    arguments = parsed(argv)
    model = load_model(arguments.model)
    classes = model.classes
    images = read_inputs(list_files(arguments.file), model, arguments.resize)
    names, outputs = list[str](), []
    while batch := list(islice(images, BATCH)):
        names += [name for name, _ in batch]
        outputs.append(model.run(np.stack([image for _, image in batch])))
    probabilities, mean, deviation = map(np.concatenate, zip(*outputs, strict=True))
    ids = np.array(read_subject_table(names, arguments.subjects) if arguments.subjects else [])
    for name, row in zip(names, probabilities, strict=True):
        print(in_words(name, row, classes))
    for subject in np.unique(ids):
        rows = probabilities[ids == subject]
        print(in_words(f"subject {subject}, {len(rows)} images", rows.mean(0), classes))
    near = (abs(mean) < 2) & (deviation > 0.1) & (deviation < 4)  # of training rows: 0 and 1
    if not near.all():
        first = int(near.argmin())
        print(
            f"warning: {(~near).sum()} of {len(names)} images lie far outside the training rows, "
            f"such as {make_printable(names[first])}: mean {mean[first]:.2f}, deviation "
            f"{deviation[first]:.2f} after scaling, expected about 0 and 1; check their scale"
        )
    if arguments.csv:
        predicted = np.array(classes)[probabilities.argmax(1)]
        columns = (names, predicted, *(map(str, column) for column in probabilities.T))
        header = ["file", "predicted", *(f"p_{name}" for name in classes)]
        write_csv(arguments.csv, header, zip(*columns, strict=True))


def parsed(argv: Sequence[str]) -> Namespace:
    parser = OneLineParser(prog="mri-stages predict", description=__doc__)
    option = parser.add_argument
    option("model", help="a name in params.yaml, or an export folder")
    option("file", nargs="+", help="an image, a folder of images, or a .pt tensor of images")
    option("--csv", type=Path, help="also write a table: file, predicted, p_CLASS")
    option("--resize", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="rescale the images")
    option("--subjects", type=Path, help="CSV of columns file, subject: also print their means")
    return parser.parse_args(argv)


def in_words(name: str, probabilities: NDArray[np.float32], classes: Sequence[str]) -> str:
    most = classes[int(probabilities.argmax())]
    each = ", ".join(f"{c} {p:.3f}" for c, p in zip(classes, probabilities, strict=True))
    return make_printable(f"{name}: {most} ({each})")


def load_model(name: str) -> Model:
    """Return a model of params.yaml by its name, or that of an export folder."""
    folder = Path(name)
    if folder.is_dir():
        described = read_json(folder / "model.json", Described)
        session = onnx_session(folder / "model.onnx")
        low, high = described.input.range
        return Model(
            described.classes,
            described.input.shape,
            low >= 0 and high <= 1,
            lambda images: session.run(None, {"image": images}),
        )
    params, info = read_params(), read_info()
    if name not in params.models:
        known = ", ".join(params.models)
        raise InputError(f"{name}: no folder and no model of params.yaml, expected one of {known}")
    device = set_up_device(params.models[name].threads)
    network = with_scaler(name, params, info).to(device)

    @torch.inference_mode()
    def outputs(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [values.cpu().numpy() for values in network(torch.from_numpy(images).to(device))]

    of_shares = bool(network.mean.min() >= 0 and network.mean.max() <= 1)
    return Model(info.classes, info.image_shape, of_shares, outputs)


def list_files(sources: Sequence[str]) -> list[Path]:
    """Return the files in `sources`, and the visible images in its folders, sorted by name."""
    files: list[Path] = []
    for source in map(Path, sources):
        images = [p for p in sorted(source.rglob("*")) if p.suffix.lower() in SUFFIXES]
        inside = [p for p in images if "/." not in f"/{p.relative_to(source).as_posix()}"]
        if source.is_dir() and not inside:
            raise InputError(f"{source}: no image in this folder")
        files += inside or [source]
    return files


def read_inputs(
    files: Sequence[Path], model: Model, size: Sequence[int] | None
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the name (FILE or FILE:ROW) and pixels (C, H, W) of all images, as in training.

    size: height and width to which images, but not tensors, are resized.
    """
    with show_progress(len(files), "predict", "file") as advance:
        for path in files:
            if path.suffix == ".pt":
                yield from _rows(path, model.image_shape)
            elif model.of_shares:
                yield str(path), _image(path, model.image_shape, size)
            else:
                raise InputError(
                    f"{path}: an image file has pixels from 0 to 1, the model was trained on "
                    "others; save a .pt tensor on the scale of the training tensors"
                )
            advance(1)


def _rows(path: Path, image_shape: Shape) -> Iterator[tuple[str, NDArray[np.float32]]]:
    images = read_images(path, notes=[])
    if images.shape[1:] != image_shape:
        found, expected = tuple(images.shape), ("N", *image_shape)
        raise InputError(f"{path}: a tensor of shape {found}, expected {expected} as in training")
    for row in range(len(images)):
        yield f"{path}:{row}", to_float_images(images[row : row + 1], path, row)[0]


def _image(path: Path, image_shape: Shape, size: Sequence[int] | None) -> NDArray[np.float32]:
    image = read_image(path, size)
    channels, height, width = image_shape
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
