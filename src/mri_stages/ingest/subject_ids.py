"""Subject ids of an image set: by a pattern, by a table, or from the public set's file names."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri_stages.errors import InputError
from mri_stages.ingest.image_folder import ImageFile

TRAIN_NAME = r"(\D*)(0|[1-9]\d{0,8})\.\w+"
TEST_NAME = r"([1-9]\d{0,5})(?: \(([1-9]\d{0,5})\))?\.\w+"


class NoSubjects(Exception):
    """Say why the file names do not tell the subjects."""


def assign_subjects(
    files: Sequence[ImageFile], classes: Sequence[str], pattern: str | None, table: Path | None
) -> NDArray[np.int64]:
    """Return the subject of each file (N,), as a number.

    By `table`, by `pattern`, or by the public set's names: NoSubjects if they are not such names.
    Ids that are whole numbers are kept. Others are numbered from 0 in the order of their text.
    """
    names = [file.name for file in files]
    if not table and not pattern:
        return _public_ids(files, classes)
    ids = read_subject_table(names, table) if table else match_subjects(names, str(pattern))
    if all(re.fullmatch(r"0|[1-9]\d{0,17}", subject) for subject in ids):
        return np.array(ids, np.int64)
    return np.unique(ids, return_inverse=True)[1].astype(np.int64)


def match_subjects(names: Sequence[str], pattern: str) -> list[str]:
    """Return the first group of the regular expression `pattern` in each name; or InputError."""
    try:
        matches = [re.search(pattern, name) for name in names]
        ids = [match and match[1] for match in matches]
    except (re.error, IndexError) as error:
        raise InputError(f"--subject-pattern {pattern}: {error}, expected a (group)") from None
    return _of_all(names, ids, f"--subject-pattern {pattern}")


def read_subject_table(names: Sequence[str], table: Path) -> list[str]:
    """Return the subject of each name in `table`, a CSV of columns file, subject; or InputError."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as lines:  # Excel begins with a BOM
            rows = {(row["file"], row["subject"]) for row in csv.DictReader(lines)}
    except (KeyError, ValueError, csv.Error) as error:
        raise InputError(f"{table}: {error}, expected a CSV of columns file, subject") from None
    ids = dict(rows)
    if len(ids) < len(rows):
        raise InputError(f"{table}: {len(rows) - len(ids)} files have two subjects, expected one")
    return _of_all(names, [ids.get(name) for name in names], str(table))


def _of_all(names: Sequence[str], ids: Sequence[str | None], origin: str) -> list[str]:
    missing = [name for name, subject in zip(names, ids, strict=True) if not subject]
    if missing:
        raise InputError(
            f"{origin}: no subject for {len(missing)} of {len(names)} files, such as {missing[0]}"
        )
    return [subject for subject in ids if subject]


def _public_ids(files: Sequence[ImageFile], classes: Sequence[str]) -> NDArray[np.int64]:
    if not files[0].split:
        raise NoSubjects("the set has no test folder")
    ids = np.zeros(len(files), np.int64)
    last = np.array([file.name.split("/")[-1] for file in files])
    in_test = np.array([file.split == "test" for file in files])
    labels = np.array([file.label for file in files])
    for label, name in enumerate(classes):
        train, test = (labels == label) & ~in_test, (labels == label) & in_test
        first = ids.max() + 1 if label else 0
        try:
            ids[train], ids[test] = class_subjects(last[train].tolist(), last[test].tolist())
        except NoSubjects as reason:
            raise NoSubjects(f"{name}: {reason}") from None
        ids[labels == label] += first
    return ids


def class_subjects(train: Sequence[str], test: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the subjects (from 0) of one class's images by the public set's numbering.

    A test file `S (k).jpg` is slice S of subject k, and `S.jpg` that of subject 1. The train files
    are numbered from 0 through all such names that are not in test, slice by slice and in string
    order inside a slice. (Found in the pixels of the public set.)

    NoSubjects unless train and test fill subjects x slices, each once. Only the last slice may have
    gaps, and only if no train image is of it, so that no gap shifts a number.
    """
    places = [(int(s), int(k or 1)) for s, k in _matched(TEST_NAME, test)]
    prefixes, digits = zip(*_matched(TRAIN_NAME, train), strict=True)
    numbers = [int(number) for number in digits]
    if len(set(prefixes)) > 1 or sorted(numbers) != list(range(len(train))):
        raise NoSubjects("train files are not numbered from 0 without a gap")
    slices, subjects = (max(column) for column in zip(*places, strict=True))
    taken, n_files = set(places), len(train) + len(test)
    if len(taken) < len(test) or subjects < 2 or slices * subjects > 2 * n_files:
        raise NoSubjects("test files do not name slices of two or more subjects, each once")
    # As strings: '26 (10).jpg' comes before '26 (2).jpg', and '26.jpg', of subject 1, is last.
    in_order = sorted(range(1, subjects + 1), key=lambda k: (k == 1, str(k)))
    listed = [(s, k) for s in range(1, slices + 1) for k in in_order if (s, k) not in taken]
    missing = listed[len(train) :]
    if len(listed) < len(train) or any(s < slices for s, _ in missing):
        raise NoSubjects(f"the files do not fill {subjects} subjects x {slices} slices")
    if missing and listed[len(train) - 1][0] == slices:
        raise NoSubjects(f"slice {slices} has gaps and images in train")
    return [listed[number][1] - 1 for number in numbers], [k - 1 for _, k in places]


def _matched(pattern: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the two groups of `pattern` in each name."""
    matches = [re.fullmatch(pattern, name) for name in names]
    if None in matches:
        raise NoSubjects(f"{names[matches.index(None)]} is not named as in the public set")
    return [(match[1], match[2]) for match in matches if match]
