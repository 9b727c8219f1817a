"""Check the raw tensors and write them as rows, in the smallest format that gives them back."""

from pathlib import Path

import numpy as np

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.evaluation.copies import find_equal_rows, list_notes, list_warnings
from mri_stages.ingest.checks import list_colour_warnings
from mri_stages.ingest.details import read_details, write_details
from mri_stages.ingest.flatten import write_smallest_format
from mri_stages.ingest.raw_folder import Raw, read_raw
from mri_stages.storage.arrays import Shape, write_array
from mri_stages.storage.copies import find_copies
from mri_stages.storage.dataset import AllRows, load_all_rows, read_info
from mri_stages.storage.details import read_file_names
from mri_stages.storage.files import write_atomically, write_json


def main() -> None:
    source = Path(read_params().data.raw)
    raw = read_raw(source)
    for note in raw.notes:
        print(note)
    details = read_details(source, raw)
    counts = count_classes(raw)
    print_missing_classes(raw.classes, counts["train"])

    with write_atomically(paths.FLAT) as folder:
        folder.mkdir()
        storage_format = write_smallest_format(folder, raw, source)
        for split, labels in raw.labels.items():
            write_array(folder / f"y_{split}.npy", labels.shape, np.int64, [labels])
        for split, subjects in raw.subjects.items():
            write_array(folder / f"subjects_{split}.npy", subjects.shape, np.int64, [subjects])
        info = {
            "image_shape": list(raw.images["train"].shape[1:]),
            "classes": raw.classes,
            "counts": counts,
            "stored": storage_format._asdict(),
        }
        write_json(folder / paths.INFO.name, info)
    with write_atomically(paths.DETAILS) as folder:
        write_details(folder, details)

    stored_info = read_info()
    rows = load_all_rows(stored_info)
    print_copies(rows, stored_info.image_shape)
    for warning in list_colour_warnings(rows, stored_info.image_shape, raw.classes):
        print(f"warning: {warning}")


def count_classes(raw: Raw) -> dict[str, list[int]]:
    """Return by split the number of rows of each class."""
    n_classes = len(raw.classes)
    return {
        split: np.bincount(labels, minlength=n_classes).tolist()
        for split, labels in raw.labels.items()
    }


def print_missing_classes(classes: list[str], train_counts: list[int]) -> None:
    for name, n_rows in zip(classes, train_counts, strict=True):
        if n_rows == 0:
            print(f"note: no training row is of class {name}; no model can learn it")


def print_copies(rows: AllRows, image_shape: Shape) -> None:
    """Print what equal rows mean: leakage, wrong labels, wrong subject ids."""
    copies = find_copies(rows.parts, image_shape)
    for warning in list_warnings(find_equal_rows(rows, copies), rows, read_file_names()):
        print(f"warning: {warning}")
    for note in list_notes(rows, copies):
        print(f"note: {note}")


if __name__ == "__main__":
    run_stage(main)
