"""Subject ids, derived from the file names of the public image set."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from src.data.image_folder import ImageFile

TRAIN_NAME = r"(\D*)(0|[1-9]\d{0,8})\.\w+"
TEST_NAME = r"([1-9]\d{0,5})(?: \(([1-9]\d{0,5})\))?\.\w+"


class NoSubjects(Exception):
    """Say why the file names do not tell the subjects."""


def subject_ids(
    files: Mapping[str, Sequence[ImageFile]], classes: Sequence[str]
) -> dict[str, NDArray[np.int64]]:
    """Return the subject of each file of train and test, counted from 0 through all classes.

    `files`: of train and test, by class, as `list_images` returns them. NoSubjects if unknown.
    """
    ids: dict[str, list[int]] = {split: [] for split in files}
    n_known = 0
    by_class = {split: groupby(files[split], key=lambda file: file.label) for split in files}
    for name in classes:
        names = [[file.path.name for file in next(by_class[split])[1]] for split in files]
        try:
            numbers = class_subjects(*names)
        except NoSubjects as reason:
            raise NoSubjects(f"{name}: {reason}") from None
        for split, of_split in zip(files, numbers, strict=True):
            ids[split] += [n_known + number for number in of_split]
        n_known += 1 + max(map(max, numbers))
    return {split: np.array(numbers) for split, numbers in ids.items()}


def class_subjects(train: Sequence[str], test: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the subjects (from 0) of one class's images by the public set's numbering.

    A test file `S (k).jpg` is slice S of subject k, and `S.jpg` that of subject 1. The train files
    are numbered from 0 through the list of all such names, slice by slice and in string order
    inside a slice, without the names that are in test. (Found in the pixels of the public set.)

    NoSubjects for other names, which may look alike without that meaning: the numbers must run from
    0 to N - 1, each name occur once, and train and test together fill subjects x slices. Only the
    last slice may have gaps, and only if no train image is of it, so that no gap shifts a number.
    """
    test_places = [(int(s), int(k or 1)) for s, k in _matched(TEST_NAME, test)]
    prefixes, digits = zip(*_matched(TRAIN_NAME, train), strict=True)
    numbers = [int(number) for number in digits]
    if len(set(prefixes)) > 1:
        raise NoSubjects("train files have names of several kinds")
    if sorted(numbers) != list(range(len(train))):
        raise NoSubjects("train files are not numbered from 0 without a gap")
    taken = set(test_places)
    if len(taken) < len(test_places):
        raise NoSubjects("two test files have the same slice and subject")
    slices, subjects = (max(column) for column in zip(*test_places, strict=True))
    if len({subject for _, subject in taken}) < 2:
        raise NoSubjects("test files name fewer than two subjects")
    if slices * subjects > 2 * (len(train) + len(test)):
        raise NoSubjects(f"{subjects} subjects x {slices} slices are too many for the files")
    # As strings: '26 (10).jpg' comes before '26 (2).jpg', and '26.jpg', of subject 1, is last.
    in_order = sorted(range(1, subjects + 1), key=lambda k: (k == 1, str(k)))
    listed = [(s, k) for s in range(1, slices + 1) for k in in_order if (s, k) not in taken]
    missing = listed[len(train) :]
    if len(listed) < len(train) or any(s < slices for s, _ in missing):
        raise NoSubjects(f"the files do not fill {subjects} subjects x {slices} slices")
    if missing and listed[len(train) - 1][0] == slices:
        raise NoSubjects(f"slice {slices} has gaps and images in train")
    return [listed[number][1] - 1 for number in numbers], [k - 1 for _, k in test_places]


def _matched(pattern: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the two groups of `pattern` in each name."""
    matches = [re.fullmatch(pattern, name) for name in names]
    if None in matches:
        raise NoSubjects(f"{names[matches.index(None)]} is not named as in the public set")
    return [(match[1], match[2]) for match in matches if match]
