"""Tell the subject of each image: by a pattern, by a table, or by the public set's file names."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.errors import InputError
from mri_stages.ingest.csv_table import check_columns, read_table
from mri_stages.ingest.file_tree import normalise_text
from mri_stages.ingest.image_set import ImageFile, ImageSet
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.storage.files import is_missing

# Names in the public set: mildDem12.jpg in train; 26 (10).jpg or 26.jpg in test.
TRAIN_NAME = r"(?P<prefix>\D*)(?P<number>0|[1-9]\d{0,8})\.\w+"
TEST_NAME = r"(?P<slice>[1-9]\d{0,5})(?: \((?P<subject>[1-9]\d{0,5})\))?\.\w+"
WHOLE_NUMBER = r"0|[1-9]\d{0,17}"  # which int64 can hold
# Names such as '999999 (999999).jpg' would give more positions than memory holds.
MAX_POSITIONS_PER_FILE = 2
# For an import with images without a subject.
IMPORT_ADVICE = "leave these out by --exclude, or see --subject-pattern and --subjects"


class NoSubjectsError(Exception):
    """The file names do not identify the subjects; the message says why."""


class Position(NamedTuple):
    """Which slice of which subject an image of the public set is, both from 1."""

    slice: int
    subject: int


class SubjectIds(NamedTuple):
    """The subject of each image of a set."""

    numbers: NDArray[np.int64]  # (N,)
    names: list[str]  # (N,) ids as text; empty where there is none, or it may be written nowhere
    origin: str  # what gives the ids


def assign_subjects(image_set: ImageSet, options: ImportOptions) -> SubjectIds:
    """Return the subject of each image.

    The ids come from `options.subjects`, by `options.subject_pattern`, from the source, or from the
    public set's names: NoSubjectsError, which says why, if there are none. Ids that are whole
    numbers are kept. Others are numbered from 0 in the order of their text.
    """
    files = image_set.files
    names = [file.name for file in files]
    if options.subjects:
        ids = read_subject_table(names, options.subjects)
        return SubjectIds(number_ids(ids), ids, str(options.subjects))
    if options.subject_pattern:
        ids = match_subjects(names, options.subject_pattern)
        return SubjectIds(number_ids(ids), ids, "the names")
    if any(file.subject for file in files):
        return take_subjects(image_set)
    if image_set.no_subjects_reason:
        raise NoSubjectsError(image_set.no_subjects_reason)
    numbers = read_public_subjects(files, image_set.classes)
    return SubjectIds(numbers, [""] * len(files), "the names")


def take_subjects(image_set: ImageSet) -> SubjectIds:
    """Return the ids that the source gives; InputError if one is missing.

    Ids that name a person are numbered, and have no text.
    """
    files = image_set.files
    names = [file.name for file in files]
    ids = [file.subject for file in files]
    require_all_subjects(names, ids, image_set.subject_origin)

    are_private = any(file.is_subject_private for file in files)
    numbers = number_texts(ids) if are_private else number_ids(ids)
    texts = ["" if file.is_subject_private else file.subject for file in files]
    return SubjectIds(numbers, texts, image_set.subject_origin)


def number_ids(ids: Sequence[str]) -> NDArray[np.int64]:
    """Return ids as numbers (N,): as they are if all are whole numbers, else by their order."""
    if all(re.fullmatch(WHOLE_NUMBER, subject) for subject in ids):
        return np.array(ids, np.int64)
    return number_texts(ids)


def number_texts(ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the place of each id (N,) in the order of their text, from 0."""
    _, numbers = np.unique(ids, return_inverse=True)
    return numbers.astype(np.int64)


def match_subjects(names: Sequence[str], pattern: str) -> list[str]:
    """Return the first group of the regular expression `pattern` in each name; or InputError."""
    source = f"--subject-pattern {pattern}"
    try:
        matches = [re.search(pattern, name) for name in names]
        ids = [match[1] if match else None for match in matches]
    except (re.error, IndexError) as error:
        raise InputError(f"{source}: {error}, expected a (group)") from None
    return require_all_subjects(names, ids, source)


def read_subject_table(names: Sequence[str], table: Path, advice: str = IMPORT_ADVICE) -> list[str]:
    """Return the subject of each name in `table`, a CSV of columns file, subject; or InputError.

    A name is a path in the set, with slashes. advice: what helps where a name has no subject.
    """
    columns = ("file", "subject")
    rows = read_table(table, str(table), columns)
    check_columns(rows, columns)
    pairs = set(zip(rows.list_cells("file"), rows.list_cells("subject"), strict=True))

    n_ambiguous = len(pairs) - len(dict(pairs))
    if n_ambiguous:
        raise InputError(f"{table}: {n_ambiguous} files have two subjects, expected one")
    known_ids = {file: subject for file, subject in pairs if not is_missing(subject)}
    ids = [known_ids.get(normalise_text(name)) for name in names]
    return require_all_subjects(names, ids, str(table), advice)


def require_all_subjects(
    names: Sequence[str],
    ids: Sequence[str | None],
    source: str,
    advice: str = IMPORT_ADVICE,
) -> list[str]:
    """Return the ids; InputError that names `source`, with an advice, if one is None or empty."""
    missing = [name for name, subject in zip(names, ids, strict=True) if not subject]
    if missing:
        raise InputError(
            f"{source}: no subject for {len(missing)} of {len(names)} files, such as {missing[0]}, "
            f"expected one for each; {advice}"
        )
    return [subject for subject in ids if subject]


def read_public_subjects(files: Sequence[ImageFile], classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the subject of each file (N,) by the public set's names.

    Ids go on counting from one class to the next. NoSubjectsError, which names the class, if the
    files are not named so.
    """
    if not files[0].split:
        raise NoSubjectsError("the set has no test folder")

    names = np.array([file.name.split("/")[-1] for file in files])
    test_mask = np.array([file.split == "test" for file in files])
    labels = np.array([file.label for file in files])
    subjects = np.zeros(len(files), np.int64)
    first_subject = 0
    for label, class_name in enumerate(classes):
        class_mask = labels == label
        train_mask = class_mask & ~test_mask
        class_test_mask = class_mask & test_mask
        try:
            train_subjects, test_subjects = find_class_subjects(
                names[train_mask].tolist(), names[class_test_mask].tolist()
            )
        except NoSubjectsError as reason:
            raise NoSubjectsError(f"{class_name}: {reason}") from None

        subjects[train_mask] = train_subjects
        subjects[class_test_mask] = test_subjects
        subjects[class_mask] += first_subject
        first_subject = subjects.max() + 1
    return subjects


def find_class_subjects(train: Sequence[str], test: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the subjects (from 0) of one class's images by the public set's numbering.

    A test file `S (k).jpg` is slice S of subject k, and `S.jpg` is that of subject 1. Train
    files are numbered from 0, one for each position that is not in test: slice by slice, and in the
    order of the names inside a slice. (Found in the pixels of the public set.)

    Raise NoSubjectsError unless train and test fill subjects x slices, each once. Only the last
    slice may have gaps, and only if no train image is of it, so that no gap shifts a number.
    """
    test_positions = read_test_positions(test)
    train_numbers = read_train_numbers(train)
    n_slices = max(position.slice for position in test_positions)
    n_subjects = max(position.subject for position in test_positions)
    check_test_positions(test_positions, n_slices * n_subjects, len(train) + len(test))

    free_positions = list_free_positions(n_slices, n_subjects, set(test_positions))
    check_train_positions(free_positions, len(train), n_slices, n_subjects)
    train_subjects = [free_positions[number].subject - 1 for number in train_numbers]
    test_subjects = [position.subject - 1 for position in test_positions]
    return train_subjects, test_subjects


def read_test_positions(names: Sequence[str]) -> list[Position]:
    """Return the slice and subject of each test file; a name without a subject is subject 1's."""
    matches = match_public_names(TEST_NAME, names)
    return [Position(int(match["slice"]), int(match["subject"] or 1)) for match in matches]


def read_train_numbers(names: Sequence[str]) -> list[int]:
    """Return the numbers of the train files; NoSubjectsError unless they are 0 to N - 1."""
    matches = match_public_names(TRAIN_NAME, names)
    prefixes = {match["prefix"] for match in matches}
    numbers = [int(match["number"]) for match in matches]
    if len(prefixes) > 1 or sorted(numbers) != list(range(len(names))):
        raise NoSubjectsError("train files are not numbered from 0 without a gap")
    return numbers


def match_public_names(pattern: str, names: Sequence[str]) -> list[re.Match[str]]:
    """Return the match of `pattern` with each whole name; NoSubjectsError if there is none."""
    matches = []
    for name in names:
        match = re.fullmatch(pattern, name)
        if match is None:
            raise NoSubjectsError(f"{name} is not named as in the public set")
        matches.append(match)
    return matches


def check_test_positions(positions: Sequence[Position], n_positions: int, n_files: int) -> None:
    """Raise NoSubjectsError if test files share a position, or name one subject or far too many."""
    is_distinct = len(set(positions)) == len(positions)
    has_two_subjects = any(position.subject > 1 for position in positions)
    if not is_distinct or not has_two_subjects or n_positions > MAX_POSITIONS_PER_FILE * n_files:
        raise NoSubjectsError("test files do not name slices of two or more subjects, each once")


def list_free_positions(
    n_slices: int, n_subjects: int, test_positions: Collection[Position]
) -> list[Position]:
    """Return the positions that are not in test, in the order in which train files are numbered.

    Names are ordered as text: '26 (10).jpg' comes before '26 (2).jpg', and '26.jpg' is the last.
    """
    other_subjects = sorted(range(2, n_subjects + 1), key=str)
    positions = []
    for slice_number in range(1, n_slices + 1):
        for subject in [*other_subjects, 1]:
            positions.append(Position(slice_number, subject))
    return [position for position in positions if position not in test_positions]


def check_train_positions(
    free_positions: Sequence[Position], n_train: int, n_slices: int, n_subjects: int
) -> None:
    """Raise NoSubjectsError if the train files do not fill the free positions.

    That is so if there are too few of these, if one after the first `n_train` lies before the last
    slice, or if the last slice has gaps and is partly train: such a gap could be any subject's.
    """
    gaps = free_positions[n_train:]
    if len(free_positions) < n_train or any(gap.slice < n_slices for gap in gaps):
        raise NoSubjectsError(f"the files do not fill {n_subjects} subjects x {n_slices} slices")
    if gaps and free_positions[n_train - 1].slice == n_slices:
        raise NoSubjectsError(f"slice {n_slices} has gaps and images in train")
