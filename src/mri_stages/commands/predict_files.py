"""Predict the images of files with a model, for `mri-stages predict`, and print the classes."""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri_stages.console import format_count, make_printable, print_errors
from mri_stages.export.model_inputs import (
    InputImage,
    ReadingNotes,
    list_files,
    list_option_warnings,
    merge_options,
    read_inputs,
)
from mri_stages.export.outputs import Outputs
from mri_stages.export.trained_model import TrainedModel, load_model
from mri_stages.ingest.subject_ids import read_subject_table
from mri_stages.orchestration.trained_weights import list_weights_warnings
from mri_stages.storage.files import write_csv

# For images without a subject; `predict` has not the options of an import.
SUBJECT_ADVICE = "add rows with these names as file, or predict without these files"

# After scaling, the pixels of all training rows have mean 0 and deviation 1. Single images lie
# around that, and an image on another scale, such as 0 to 255 in place of 0 to 1, far outside.
MAX_MEAN = 2  # or below -2, in deviations of the training pixels
MIN_DEVIATION = 0.1
MAX_DEVIATION = 4


def predict_files(arguments: Namespace) -> None:
    """Predict all images of the files; the arguments are those of the command."""
    model = load_model(arguments.model)
    print_errors(list_weights_warnings(arguments.model))
    options = merge_options(vars(arguments), model)
    print_errors(list_option_warnings(options, "on the command line", model))

    notes = ReadingNotes()
    images = read_inputs(list_files(arguments.file), model, options, notes)
    names, outputs = predict_images(model, images)
    print_errors(notes.list_lines())
    print_errors(list_scale_warnings(names, outputs))

    subjects = []
    if arguments.subjects:
        subjects = read_subject_table(names, arguments.subjects, SUBJECT_ADVICE)
    if arguments.csv:
        write_table(arguments.csv, names, outputs.probabilities, model.classes)
    print_images(names, outputs.probabilities, model.classes)
    print_subjects(subjects, outputs.probabilities, model.classes)


def predict_images(model: TrainedModel, images: Iterator[InputImage]) -> tuple[list[str], Outputs]:
    """Return the names of all images, and the model's outputs for them, row by row."""
    names = []

    def iterate_named_pixels() -> Iterator[NDArray[np.float32]]:
        for image in images:
            names.append(image.name)
            yield image.pixels

    outputs = model.compute_outputs(iterate_named_pixels())
    return names, outputs


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
        name = f"subject {subject}, {format_count(len(rows), 'image')}"
        print(format_prediction(name, rows.mean(axis=0), classes))


def format_prediction(name: str, probabilities: NDArray[np.float32], classes: Sequence[str]) -> str:
    """Return one line: the name, the most likely class, and the probability of each class."""
    most_likely = classes[int(probabilities.argmax())]
    figures = [
        f"{class_name} {probability:.3f}"
        for class_name, probability in zip(classes, probabilities, strict=True)
    ]
    return make_printable(f"{name}: {most_likely} ({', '.join(figures)})")


def list_scale_warnings(names: Sequence[str], outputs: Outputs) -> list[str]:
    """Return a warning that counts the images whose pixels are unlike those of training rows."""
    mean = outputs.mean
    deviation = outputs.deviation

    usual_mean_mask = abs(mean) < MAX_MEAN
    usual_deviation_mask = (deviation > MIN_DEVIATION) & (deviation < MAX_DEVIATION)
    outside_mask = ~(usual_mean_mask & usual_deviation_mask)
    if not outside_mask.any():
        return []
    first = int(outside_mask.argmax())
    verb = "lies" if outside_mask.sum() == 1 else "lie"
    images = format_count(len(names), "image")
    return [
        f"warning: {outside_mask.sum()} of {images} {verb} far outside the training rows, "
        f"such as {names[first]}: mean {mean[first]:.2f}, deviation {deviation[first]:.2f} after "
        "scaling, expected about 0 and 1; check their scale"
    ]


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
