"""Read a raw folder as the external test set of a trained model, and check that it can be one."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mri_stages.errors import InputError
from mri_stages.export.row_set import FLOAT32_BYTES, RowSet, SetFigures, describe_rows
from mri_stages.export.trained_model import TrainedModel
from mri_stages.ingest import checks
from mri_stages.ingest.details import Details, read_details
from mri_stages.ingest.raw_folder import Raw, read_raw, to_float_images
from mri_stages.preprocessing.scaler import MAX_MEAN_SHIFT, MAX_STD_RATIO
from mri_stages.storage.arrays import iterate_chunks
from mri_stages.storage.dataset import SPLITS
from mri_stages.storage.details import FileNames

MAX_UNIT_EXCESS = 0.01  # how far rounding may take pixels beyond 0 and 1


class ExternalSet(NamedTuple):
    """Rows of a raw folder: those of train, and then those of test."""

    folder: Path
    images: dict[str, torch.Tensor]  # by split, (n, C, H, W), memory-mapped, as saved
    indices: dict[str, NDArray[np.int64]]  # by split, of the rows that are taken
    labels: NDArray[np.int64]  # (N,) numbers of the model's classes
    subjects: NDArray[np.int64] | None  # (N,) ids; None where they are unknown
    files: FileNames
    notes: list[str]

    def iterate_chunks(self, progress_label: str) -> Iterator[NDArray[np.float32]]:
        """Yield the pixels of all rows, in chunks (n, C, H, W); InputError if not finite."""
        for split, images in self.images.items():
            path = self.folder / f"{split}_data.pt"
            indices = torch.from_numpy(self.indices[split])
            row_bytes = FLOAT32_BYTES * images[0].numel()
            for chunk in iterate_chunks(len(indices), row_bytes, progress_label):
                yield to_float_images(images[indices[chunk]], path, chunk.start)

    def select(self, mask: NDArray[np.bool_]) -> "ExternalSet":
        """Return the set of the rows in the mask (N,)."""
        n_train = len(self.indices["train"])
        masks = {"train": mask[:n_train], "test": mask[n_train:]}
        indices = {split: self.indices[split][masks[split]] for split in SPLITS}
        subjects = None if self.subjects is None else self.subjects[mask]
        return self._replace(indices=indices, labels=self.labels[mask], subjects=subjects)

    def name_row(self, position: int) -> str:
        """Return where one of the N rows comes from, such as "test row 3 (train/Ill/7.png)"."""
        places = []
        for split in SPLITS:
            places += [(split, row) for row in self.indices[split].tolist()]
        split, row = places[position]
        name = f"{split} row {row}"
        file = self.files.get((split, row), "")
        return f"{name} ({file})" if file else name


def read_external_set(folder: Path, model: TrainedModel) -> ExternalSet:
    """Return the rows of a raw folder with the labels of the model's classes.

    InputError if the images have another shape, or a class is not one of the model's.
    """
    raw = read_raw(folder)
    check_shape(folder, raw, model)
    own_labels = np.concatenate([raw.labels[split] for split in SPLITS])
    subjects = None
    if raw.subjects:
        subjects = np.concatenate([raw.subjects[split] for split in SPLITS])

    # The order of rows matters to training only.
    order_warnings = checks.list_order_warnings(folder / "train_labels.pt", raw.labels["train"])
    return ExternalSet(
        folder=folder,
        images={split: raw.images[split] for split in SPLITS},
        indices={split: np.arange(len(raw.images[split])) for split in SPLITS},
        labels=match_labels(folder, own_labels, raw.classes, model.classes),
        subjects=subjects,
        files=name_files(read_details(folder, raw)),
        notes=[note for note in raw.notes if note not in order_warnings],
    )


def name_files(details: Details) -> FileNames:
    """Return the name of the image file of each row, by split and row; none if unknown."""
    return {(row["split"], int(row["row"])): row["file"] for row in details.files.rows}


def check_shape(folder: Path, raw: Raw, model: TrainedModel) -> None:
    """Raise InputError unless the images have the shape of the training images."""
    shape = tuple(raw.images["train"].shape[1:])
    if shape != model.image_shape:
        _, height, width = model.image_shape
        raise InputError(
            f"{folder}: images of {shape}, expected {model.image_shape} as in training; import "
            f"them with --resize {height} {width}, and with the other options of the training "
            f"images ({model.options_file})"
        )


def match_labels(
    folder: Path, labels: NDArray[np.int64], classes: list[str], model_classes: list[str]
) -> NDArray[np.int64]:
    """Return labels (N,) of `classes` as labels of the model's classes of the same names."""
    used_classes = [classes[label] for label in np.unique(labels)]
    unknown_classes = [name for name in used_classes if name not in model_classes]
    if unknown_classes:
        raise InputError(
            f"{folder}: the model does not know the class {', '.join(unknown_classes)}, expected "
            f"classes among {', '.join(model_classes)}; rename them in classes.json, or leave "
            "their rows out"
        )
    # A class without rows here may be unknown to the model: no row has its number.
    label_of_class = {name: label for label, name in enumerate(model_classes)}
    new_labels = np.array([label_of_class.get(name, -1) for name in classes])
    matched: NDArray[np.int64] = new_labels[labels]
    return matched


def describe_external_set(external: ExternalSet, classes: list[str]) -> RowSet:
    """Return the figures and hashes of all rows; InputError names a row that is not finite."""
    return describe_rows(
        external.iterate_chunks("read rows"), external.labels, external.subjects, classes
    )


def check_pixels(external: ExternalSet, figures: SetFigures, training: SetFigures) -> None:
    """Raise InputError if the pixels are certainly not on the scale of the training pixels."""
    pixels = f"pixels from {figures.darkest:.4g} to {figures.brightest:.4g}"
    expected = (
        f"expected the scale of the training pixels, {training.darkest:.4g} to "
        f"{training.brightest:.4g}"
    )
    is_beyond_unit_range = (
        figures.darkest < -MAX_UNIT_EXCESS or figures.brightest > 1 + MAX_UNIT_EXCESS
    )
    if training.has_unit_range and is_beyond_unit_range:
        raise InputError(
            f"{external.folder}: {pixels}, {expected}; save uint8 grey levels, or x / 255 of grey "
            "levels"
        )

    dtype = external.images["train"].dtype
    if not training.has_unit_range and dtype == torch.uint8:
        raise InputError(
            f"{external.folder}: uint8 grey levels k, which are read as k/255, {expected}; save "
            "float32 on that scale"
        )
    narrow, wide = sorted(
        (figures.brightest - figures.darkest, training.brightest - training.darkest)
    )
    if 0 < checks.MAX_RANGE_RATIO * narrow < wide:
        raise InputError(f"{external.folder}: {pixels}, {expected}; save them on that scale")


def list_scale_warnings(figures: SetFigures, training: SetFigures) -> list[str]:
    """Return a warning if the pixels are likely not on the scale of the training pixels."""
    smaller, larger = sorted((figures.deviation, training.deviation))
    is_mean_close = abs(figures.mean - training.mean) <= MAX_MEAN_SHIFT * training.deviation
    if is_mean_close and larger <= MAX_STD_RATIO * smaller:
        return []
    return [
        f"warning: pixels of mean {figures.mean:z.4f} and deviation {figures.deviation:.4f}, but "
        f"{training.mean:z.4f} and {training.deviation:.4f} in training; was one of the two "
        "normalised or rescaled?"
    ]
