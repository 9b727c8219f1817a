"""Tell what the stage `load` will read: shape of the images, classes, folds, columns."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mri_stages import paths
from mri_stages.config.schema import Params, Sample
from mri_stages.errors import InputError
from mri_stages.ingest.checks import check_label_range
from mri_stages.ingest.details import SUBJECT_TABLE_FILE, read_table
from mri_stages.ingest.phantoms import CLASSES
from mri_stages.ingest.raw_folder import read_classes, read_images, read_labels, read_subjects
from mri_stages.orchestration.graph import LOAD, StageGraph
from mri_stages.preprocessing.folds import FoldLimit, are_folds_possible, find_fold_limit
from mri_stages.preprocessing.nested_folds import count_units_of_second_class, describe_few_units
from mri_stages.storage.arrays import Shape
from mri_stages.storage.dataset import SPLITS
from mri_stages.storage.details import SUBJECT_COLUMNS

SAMPLE_CHANNELS = 3
SAMPLE = "sample"


class InnerLimit(NamedTuple):
    """What limits the inner folds."""

    n_units: int  # subjects, or rows without ids, of the class that has the second most

    def describe_excess(self, n_inner: int) -> str:
        """Return why a class certainly cannot fill the inner folds; "" if it may."""
        return describe_few_units(n_inner, self.n_units) if self.n_units < n_inner else ""


class DataFacts(NamedTuple):
    """What decides whether the params go with the images."""

    image_shape: Shape  # channels, height, width
    classes: list[str]  # K names in label order
    fold_limit: FoldLimit | None  # None where no folds are possible: the given split is scored
    is_sample: bool = False  # the phantoms that the stage `sample` draws
    subject_values: Mapping[str, Sequence[str]] = {}
    """columns of subjects.csv without the ids; a text for each subject, "" where it is missing"""
    inner_limit: InnerLimit | None = None  # None where it is not known before `load`
    subjects: Sequence[str] = ()  # their ids, as texts


def read_data_facts(folder: Path) -> DataFacts:
    """Return what a raw folder holds; InputError where it cannot be read.

    Images are memory-mapped, and their pixels are not read.
    """
    notes: list[str] = []  # that `load` prints
    images = {"train": read_images(folder / "train_data.pt", notes)}
    images["test"] = read_images(folder / "test_data.pt", notes)
    labels = read_labels(folder, images, notes)
    classes = read_classes(folder, labels["train"])
    for split in SPLITS:
        check_label_range(folder / f"{split}_labels.pt", labels[split], len(classes))
    subjects = read_subjects(folder, images)

    all_labels = np.concatenate(list(labels.values()))
    all_subjects = np.concatenate(list(subjects.values())) if subjects else None
    fold_limit = None
    if are_folds_possible(all_labels, all_subjects):
        fold_limit = find_fold_limit(all_labels, all_subjects)
    channels, height, width = images["train"].shape[1:]
    table = read_table(folder / SUBJECT_TABLE_FILE, SUBJECT_COLUMNS)
    subject_values = {}
    for column in table.columns:
        if column not in SUBJECT_COLUMNS:
            subject_values[column] = [row[column].strip() for row in table.rows]
    units = np.arange(len(all_labels)) if all_subjects is None else all_subjects
    return DataFacts(
        inner_limit=InnerLimit(count_units_of_second_class(all_labels, units)),
        image_shape=(channels, height, width),
        classes=classes,
        fold_limit=fold_limit,
        subject_values=subject_values,
        subjects=[row["subject"] for row in table.rows],
    )


def predict_sample(sample: Sample) -> DataFacts:
    """Return what the phantoms are that the stage `sample` draws."""
    image_shape = (SAMPLE_CHANNELS, sample.height, sample.width)
    fold_limit = FoldLimit(sample.subjects, "subjects in all")
    return DataFacts(image_shape, list(CLASSES), fold_limit, is_sample=True)


def find_data_facts(
    params: Params, graph: StageGraph, changed_stages: Collection[str]
) -> DataFacts | None:
    """Return what the stage `load` will read.

    None where it is not known before it runs: the folder is not there, `load` will refuse it,
    or a stage that writes it runs first.
    """
    folder = Path(params.data.raw)
    if SAMPLE in graph.deps and folder == paths.SAMPLE:
        return predict_sample(params.sample)

    ancestors = graph.collect_ancestors({LOAD} & graph.deps.keys()) - {LOAD}
    is_rewritten = any(not is_data_file(stage) for stage in ancestors.intersection(changed_stages))
    if is_rewritten:
        return None
    try:
        return read_data_facts(folder)
    except (InputError, OSError):
        return None


def is_data_file(stage: str) -> bool:
    """Return whether a stage of DVC is what `dvc add` wrote, which has no command."""
    return stage.endswith(".dvc")
