"""Make a raw folder, for `mri-stages import`: read the images, and say what became of them."""

from pathlib import Path

import numpy as np

from mri_stages.console import make_printable
from mri_stages.ingest import npz_file
from mri_stages.ingest.conversion import (
    Subjects,
    choose_test_files,
    order_rows,
    write_raw_folder,
)
from mri_stages.ingest.format_checks import (
    check_opened_files,
    describe_identity,
    describe_pictures,
    describe_unused_options,
    list_subject_warnings,
)
from mri_stages.ingest.image_folder import list_images
from mri_stages.ingest.image_set import ImageSet
from mri_stages.ingest.image_table import list_table_images
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.ingest.raw_folder import SplitIntegers
from mri_stages.ingest.subject_ids import NoSubjectsError, assign_subjects
from mri_stages.orchestration.data_checks import list_import_warnings


def make_raw_folder(source: Path, out: Path, options: ImportOptions) -> None:
    """Write the images of a source as a raw folder, and print notes and warnings."""
    image_set = list_image_set(source, options)
    for note in image_set.notes:
        print(make_printable(f"note: {note}"))
    check_opened_files(source, image_set.files, options)
    print_format_notes(image_set, options)
    subjects = find_subjects(image_set, options)
    test_mask = choose_test_files(image_set, subjects, source, options.test_share, options.seed)
    indices = order_rows(test_mask, options.seed)
    if options.test_share is not None:
        print(f"split: --test-share {options.test_share} ({count_rows(indices)})")

    survey = write_raw_folder(out, image_set, subjects, indices, source, options)

    classes = image_set.classes
    for note, count in survey.notes.items():
        print(f"note: {count} images {note}")
    for warning in survey.kinds.list_warnings(classes):
        print(make_printable(f"warning: {warning}"))
    result = f"{count_rows(indices)} images of {len(classes)} classes: {', '.join(classes)}"
    print(make_printable(f"wrote {out}: {result}"))
    for warning in list_import_warnings(out):
        print(f"warning: {warning}")


def list_image_set(source: Path, options: ImportOptions) -> ImageSet:
    """Return the images of a source: of an .npz file, by a table, or by its folders."""
    if source.is_file() and source.suffix.lower() == npz_file.SUFFIX:
        return npz_file.list_npz_images(source, options)
    if options.table is not None:
        return list_table_images(source, options)
    return list_images(source, options)


def print_format_notes(image_set: ImageSet, options: ImportOptions) -> None:
    """Print what is to be said of the DICOM files and the volumes of a set, if there are any."""
    pictures = [file.picture for file in image_set.files]
    notes = [*describe_identity(image_set.files), *describe_pictures(pictures, options)]
    notes += describe_unused_options(pictures, options)
    for note in notes:
        print(make_printable(f"note: {note}"))
    if options.subjects is None and options.subject_pattern is None:
        for warning in list_subject_warnings(image_set.files, image_set.classes):
            print(f"warning: {warning}")


def count_rows(indices: SplitIntegers) -> str:
    """Return the number of rows of train and of test."""
    return ", ".join(f"{split} {len(rows)}" for split, rows in indices.items())


def find_subjects(image_set: ImageSet, options: ImportOptions) -> Subjects:
    """Return the subject of each file if known, and print how many there are, or why none."""
    try:
        subjects = assign_subjects(image_set, options)
    except NoSubjectsError as reason:
        advice = "--subject-pattern or --subjects names them"
        print(make_printable(f"subjects: unknown ({reason}); {advice}"))
        return None
    print(f"subjects: {len(np.unique(subjects.numbers))}, from {subjects.origin}")
    return subjects
