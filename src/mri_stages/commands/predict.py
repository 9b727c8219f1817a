"""Predict the classes of images with a trained model."""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri_stages.console import OneLineParser, make_printable
from mri_stages.export.model_inputs import InputImage, list_files, read_inputs
from mri_stages.export.onnx_file import BATCH_SIZE, Outputs
from mri_stages.export.trained_model import TrainedModel, load_model
from mri_stages.ingest.subject_ids import read_subject_table
from mri_stages.storage.files import write_csv

# After scaling, the pixels of all training rows have mean 0 and deviation 1. Single images lie
# around that, and an image on another scale, such as 0 to 255 in place of 0 to 1, far outside.
MAX_MEAN = 2  # or below -2, in deviations of the training pixels
MIN_DEVIATION = 0.1
MAX_DEVIATION = 4


def main(argv: Sequence[str]) -> None:
    arguments = parse_arguments(argv)
    model = load_model(arguments.model)
    images = read_inputs(list_files(arguments.file), model, arguments.resize)
    names, outputs = predict_images(model, images)
    subjects = []
    if arguments.subjects:
        subjects = read_subject_table(names, arguments.subjects)

    print_images(names, outputs.probabilities, model.classes)
    print_subjects(subjects, outputs.probabilities, model.classes)
    warn_of_another_scale(names, outputs)
    if arguments.csv:
        write_table(arguments.csv, names, outputs.probabilities, model.classes)


def parse_arguments(argv: Sequence[str]) -> Namespace:
    parser = OneLineParser(prog="mri-stages predict", description=__doc__)
    parser.add_argument("model", help="a name in params.yaml, or an export folder")
    parser.add_argument(
        "file", nargs="+", help="an image, a folder of images, or a .pt tensor of images"
    )
    parser.add_argument("--csv", type=Path, help="also write a table: file, predicted, p_CLASS")
    parser.add_argument(
        "--resize", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="rescale the images"
    )
    parser.add_argument(
        "--subjects", type=Path, help="CSV of columns file, subject: also print their means"
    )
    return parser.parse_args(argv)


def predict_images(model: TrainedModel, images: Iterator[InputImage]) -> tuple[list[str], Outputs]:
    """Return the names of all images, and the model's outputs for them, row by row."""
    names: list[str] = []
    outputs: list[Outputs] = []
    for batch in split_into_batches(images):
        names += [image.name for image in batch]
        outputs.append(model.compute_outputs(np.stack([image.pixels for image in batch])))
    return names, Outputs(*(np.concatenate(parts) for parts in zip(*outputs, strict=True)))


def split_into_batches(images: Iterator[InputImage]) -> Iterator[list[InputImage]]:
    """Yield BATCH_SIZE images at a time, so that a large folder need not fit into memory."""
    batch = list(islice(images, BATCH_SIZE))
    while batch:
        yield batch
        batch = list(islice(images, BATCH_SIZE))


def print_images(
    names: Iterable[str], probabilities: NDArray[np.float32], classes: Sequence[str]
) -> None:
    for name, row in zip(names, probabilities, strict=True):
        print(format_prediction(name, row, classes))


def print_subjects(
    subjects: Sequence[str], probabilities: NDArray[np.float32], classes: Sequence[str]
) -> None:
    """Print the mean probabilities of each subject, where the rows have subjects."""
    row_subjects = np.array(subjects)
    for subject in np.unique(row_subjects):
        rows = probabilities[row_subjects == subject]
        name = f"subject {subject}, {len(rows)} images"
        print(format_prediction(name, rows.mean(axis=0), classes))


def format_prediction(name: str, probabilities: NDArray[np.float32], classes: Sequence[str]) -> str:
    """Return one line: the name, the most likely class, and the probability of each class."""
    most_likely = classes[int(probabilities.argmax())]
    figures = [
        f"{class_name} {probability:.3f}"
        for class_name, probability in zip(classes, probabilities, strict=True)
    ]
    return make_printable(f"{name}: {most_likely} ({', '.join(figures)})")


def warn_of_another_scale(names: Sequence[str], outputs: Outputs) -> None:
    """Print a warning that counts the images whose pixels are unlike those of training rows."""
    mean = outputs.mean
    deviation = outputs.deviation

    usual_mean_mask = abs(mean) < MAX_MEAN
    usual_deviation_mask = (deviation > MIN_DEVIATION) & (deviation < MAX_DEVIATION)
    outside_mask = ~(usual_mean_mask & usual_deviation_mask)
    if outside_mask.any():
        first = int(outside_mask.argmax())
        print(
            f"warning: {outside_mask.sum()} of {len(names)} images lie far outside the training "
            f"rows, such as {make_printable(names[first])}: mean {mean[first]:.2f}, deviation "
            f"{deviation[first]:.2f} after scaling, expected about 0 and 1; check their scale"
        )


def write_table(
    path: Path,
    names: Iterable[str],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
) -> None:
    """Write a CSV of each image's name, most likely class and probabilities."""
    header = ["file", "predicted", *(f"p_{class_name}" for class_name in classes)]
    table = []
    for name, row in zip(names, probabilities, strict=True):
        most_likely = classes[int(row.argmax())]
        # A float32 has fewer digits as text than the float64 of the same value.
        table.append([name, most_likely, *(str(probability) for probability in row)])
    write_csv(path, header, table)
