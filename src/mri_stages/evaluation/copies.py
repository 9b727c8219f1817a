"""Say what equal rows mean: certain leakage, an image of two classes, an image of two subjects."""

from typing import NamedTuple

from mri_stages.storage.copies import Copies, CopyPairs, list_conflicts, list_test_copies
from mri_stages.storage.dataset import AllRows
from mri_stages.storage.details import FileNames, name_row


class EqualRows(NamedTuple):
    """The pairs of equal rows that say something."""

    test_copies: CopyPairs  # a training row and a test row
    class_conflicts: CopyPairs  # rows of two classes
    subject_conflicts: CopyPairs  # rows of two subjects; none where ids are unknown


def find_equal_rows(rows: AllRows, copies: Copies) -> EqualRows:
    """Return the pairs of equal rows that say something of leakage, labels or ids."""
    subject_of_row = rows.subjects if rows.subjects is not None else copies.first_rows
    return EqualRows(
        list_test_copies(copies, len(rows.parts[0])),
        list_conflicts(copies, rows.labels),
        list_conflicts(copies, subject_of_row),
    )


def list_warnings(equal_rows: EqualRows, rows: AllRows, names: FileNames) -> list[str]:
    """Return a sentence for each kind of pairs of equal rows; each names the first pair."""
    n_train = len(rows.parts[0])
    n_test = len(rows.labels) - n_train
    warnings = []
    n_copies = len(equal_rows.test_copies.rows)
    if n_copies:
        example = name_first_pair(equal_rows.test_copies, n_train, names)
        warnings.append(f"Certain leakage: {count_copies(n_copies, n_test)} ({example}).")

    if equal_rows.class_conflicts.n_images:
        counted = count_images(equal_rows.class_conflicts)
        example = name_first_pair(equal_rows.class_conflicts, n_train, names)
        warnings.append(f"{counted} in rows of two classes, of which one is wrong ({example}).")
    if equal_rows.subject_conflicts.n_images:
        counted = count_images(equal_rows.subject_conflicts)
        example = name_first_pair(equal_rows.subject_conflicts, n_train, names)
        warnings.append(f"{counted} in rows of two subjects: the ids may be wrong ({example}).")
    return warnings


def name_first_pair(pairs: CopyPairs, n_train: int, names: FileNames) -> str:
    """Return an example: the files or the numbers of the two rows of the first pair."""
    first = name_row(int(pairs.first_rows[0]), n_train, names)
    second = name_row(int(pairs.rows[0]), n_train, names)
    return f"such as {first} and {second}"


def list_notes(rows: AllRows, copies: Copies) -> list[str]:
    """Return notes on equal rows that prove no leakage."""
    notes = []
    test_mask = rows.test_mask
    same_split_mask = copies.copy_mask & (test_mask[copies.first_rows] == test_mask)
    n_same_split = int(same_split_mask.sum())
    if n_same_split:
        notes.append(
            f"rows that are exact copies of an earlier row of their split: {n_same_split:,}"
        )
    n_constant = int(copies.constant_mask.sum())
    if n_constant:
        notes.append(
            f"{n_constant:,} rows have one value everywhere, such as a black image; they do not "
            "count as copies of each other"
        )
    return notes


def count_copies(n_copies: int, n_test: int) -> str:
    """Return how many test rows are copies, such as "3 of 8 test rows are exact copies of ..."."""
    counted = f"{n_copies:,} of {n_test:,} test rows"
    if n_copies == n_test:
        counted = f"all {n_test:,} test rows"
    verb = "is an exact copy" if n_copies == 1 else "are exact copies"
    return f"{counted} {verb} of training rows, byte by byte"


def count_images(pairs: CopyPairs) -> str:
    return "1 image is" if pairs.n_images == 1 else f"{pairs.n_images:,} images are"
