"""Measure whether the test rows are new to a model, or of subjects that it trained on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.evaluation.copies import count_copies, find_equal_rows, list_warnings
from mri_stages.storage.copies import Copies, CopyPairs
from mri_stages.storage.dataset import AllRows
from mri_stages.storage.details import FileNames, name_row
from mri_stages.storage.neighbours import GIVEN_SPLIT, RANDOM_FOLDS, SINGLE_ROWS, NeighbourTable
from mri_stages.storage.records import Leakage, RowConflict, RowCopy

MAX_NAMED_ROWS = 1000  # of each list of equal rows
MAX_ALIKE_CLOSENESS = 0.5  # rows nearer than half the typical distance look alike
MIN_DOUBTFUL_SHARE = 0.5  # ids are doubted if more rows than that look like another row


class SubjectShares(NamedTuple):
    """What subject ids tell about leakage."""

    shared: float  # share of test rows whose subject has training rows
    same_neighbour: float  # share of test rows whose nearest training row is of the same subject


class IdCheck(NamedTuple):
    """Whether the subject ids fit the images, from the rows of subjects with several rows."""

    same_nearest: float  # share of rows whose nearest row is of the same subject
    is_doubtful: bool


def measure_leakage(rows: AllRows, table: NeighbourTable, n_copies: int = 0) -> Leakage:
    """Return the figures of leakage with sentences about them.

    Leakage is certain for the `n_copies` test rows that are equal to a training row, and with
    subject ids.
    """
    given_accuracy = compute_neighbour_accuracy(rows, table, GIVEN_SPLIT)
    random_accuracy = None
    if RANDOM_FOLDS in table.by_grouping:
        random_accuracy = compute_neighbour_accuracy(rows, table, RANDOM_FOLDS)
    is_sample = len(table.compared) < len(rows.labels)
    sample_note = f" among a sample of {len(table.compared):,} rows" if is_sample else ""
    leakage = Leakage(
        sentence="",
        nearest_neighbour_given=given_accuracy,
        nearest_neighbour_random=random_accuracy,
        sampled_rows=len(table.compared) if is_sample else None,
    )

    n_other_rows = int(rows.test_mask.sum()) - n_copies
    if rows.subjects is None:
        sentences = [describe_copies(n_copies, n_other_rows)]
        if n_other_rows:
            sentences.append(describe_unknown_rows(n_copies))
        sentences.append(describe_neighbours(given_accuracy, random_accuracy, sample_note))
        return leakage.model_copy(update={"sentence": join_sentences(sentences)})

    shares = compute_subject_shares(rows, rows.subjects, table)
    check = check_subject_ids(rows.subjects, table)
    sentences = [describe_copies(n_copies, n_other_rows)]
    if shares.shared > 0 or n_copies == 0:
        sentences.append(write_sentence(shares, check, sample_note))
    return leakage.model_copy(
        update={
            "sentence": join_sentences(sentences),
            "shared_subjects": shares.shared,
            "same_subject_neighbour": shares.same_neighbour,
            "nearest_row_of_same_subject": None if check is None else check.same_nearest,
        }
    )


def describe_copies(n_copies: int, n_other_rows: int) -> str:
    """Return what copies of training rows in test mean; nothing where there are none."""
    if n_copies == 0:
        return ""
    return (
        f"Leakage: {count_copies(n_copies, n_copies + n_other_rows)}, so test accuracy says little "
        "about new images."
    )


def describe_unknown_rows(n_copies: int) -> str:
    """Return that the test rows, except for the copies, may be of new subjects or not."""
    other = "other " if n_copies else ""
    return (
        f"Subject ids are unknown, so nobody can tell whether the {other}test rows are of new "
        "subjects."
    )


def describe_neighbours(
    given_accuracy: float, random_accuracy: float | None, sample_note: str
) -> str:
    """Return the accuracies of the nearest neighbour; None where no folds are possible."""
    random_folds = "" if random_accuracy is None else f" and {random_accuracy:.0%} on random folds"
    return (
        f"Nearest neighbour{sample_note}, which learns nothing, has an accuracy of "
        f"{given_accuracy:.0%} on the given split{random_folds}."
    )


def join_sentences(sentences: Sequence[str]) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def compute_neighbour_accuracy(rows: AllRows, table: NeighbourTable, grouping: str) -> float:
    """Return the share of rows with the label of their neighbour; of test rows on GIVEN_SPLIT."""
    neighbours = table.by_grouping[grouping]
    correct_mask = rows.labels[neighbours.nearest] == rows.labels[table.compared]
    if grouping == GIVEN_SPLIT:
        correct_mask = correct_mask[rows.test_mask[table.compared]]
    return float(correct_mask.mean())


def mark_same_subject(
    subjects: NDArray[np.int64], table: NeighbourTable, grouping: str
) -> NDArray[np.bool_]:
    """Return whether each compared row (n,) has the subject of its neighbour."""
    neighbours = table.by_grouping[grouping]
    same_mask: NDArray[np.bool_] = subjects[neighbours.nearest] == subjects[table.compared]
    return same_mask


def compute_subject_shares(
    rows: AllRows, subjects: NDArray[np.int64], table: NeighbourTable
) -> SubjectShares:
    same_mask = mark_same_subject(subjects, table, GIVEN_SPLIT)
    test_mask = rows.test_mask[table.compared]
    shared_mask = np.isin(subjects[rows.test_mask], subjects[~rows.test_mask])
    return SubjectShares(float(shared_mask.mean()), float(same_mask[test_mask].mean()))


def check_subject_ids(subjects: NDArray[np.int64], table: NeighbourTable) -> IdCheck | None:
    """Return whether the ids fit the images; None where no subject has several rows.

    They are doubtful if most rows look like another row, and that row is rarely of their subject.
    """
    _, subject_of_row, counts = np.unique(
        subjects[table.compared], return_inverse=True, return_counts=True
    )
    several_mask = counts[subject_of_row] > 1
    if not several_mask.any():
        return None

    same_mask = mark_same_subject(subjects, table, SINGLE_ROWS)
    same_nearest = float(same_mask[several_mask].mean())
    closeness = table.by_grouping[SINGLE_ROWS].closeness[several_mask]
    alike_share = (closeness < MAX_ALIKE_CLOSENESS).mean()
    return IdCheck(same_nearest, bool(alike_share > MIN_DOUBTFUL_SHARE > same_nearest))


def write_sentence(shares: SubjectShares, check: IdCheck | None, sample_note: str) -> str:
    """Return what the ids tell about leakage, and whether to doubt them."""
    sentence = "No leakage: no subject has rows in both train and test."
    if shares.shared > 0:
        sentence = (
            f"Leakage: {format_percent(shares.shared)} of the test rows are of subjects that also "
            f"have training rows, and the nearest training row{sample_note} of "
            f"{format_percent(shares.same_neighbour)} is of the same subject, so test accuracy "
            "says little about new subjects."
        )
    if check is not None and check.is_doubtful:
        sentence += (
            " But the subject ids may be wrong: most rows look like another row, and for only "
            f"{check.same_nearest:.0%} that row is of the same subject."
        )
    return sentence


def format_percent(share: float) -> str:
    return "less than 1%" if 0 < share < 0.01 else f"{share:.0%}"


def add_copies(
    leakage: Leakage, rows: AllRows, copies: Copies, classes: Sequence[str], names: FileNames
) -> Leakage:
    """Return the record with what equal rows mean; unchanged where no rows are equal."""
    equal_rows = find_equal_rows(rows, copies)
    n_train = len(rows.parts[0])
    test_copies = [
        RowCopy(test=name_row(test, n_train, names), train=name_row(train, n_train, names))
        for train, test in zip(*shorten_pairs(equal_rows.test_copies), strict=True)
    ]
    class_conflicts = list_named_conflicts(
        equal_rows.class_conflicts, n_train, names, lambda row: classes[rows.labels[row]]
    )
    subject_conflicts = []
    if rows.subjects is not None:
        subjects = rows.subjects
        subject_conflicts = list_named_conflicts(
            equal_rows.subject_conflicts, n_train, names, lambda row: str(subjects[row])
        )

    return leakage.model_copy(
        update={
            "warning": " ".join(list_warnings(equal_rows, rows, names)) or None,
            "copied_test_rows": len(equal_rows.test_copies.rows) or None,
            "copies": test_copies or None,
            "images_of_two_classes": equal_rows.class_conflicts.n_images or None,
            "class_conflicts": class_conflicts or None,
            "images_of_two_subjects": equal_rows.subject_conflicts.n_images or None,
            "subject_conflicts": subject_conflicts or None,
            "constant_rows": int(copies.constant_mask.sum()) or None,
        }
    )


def shorten_pairs(pairs: CopyPairs) -> tuple[list[int], list[int]]:
    """Return the first MAX_NAMED_ROWS pairs: the first rows, and their copies."""
    first_rows = pairs.first_rows[:MAX_NAMED_ROWS].tolist()
    return first_rows, pairs.rows[:MAX_NAMED_ROWS].tolist()


def list_named_conflicts(
    pairs: CopyPairs, n_train: int, names: FileNames, get_value: Callable[[int], str]
) -> list[RowConflict]:
    """Return the first MAX_NAMED_ROWS pairs by file or number, with what `get_value` says."""
    return [
        RowConflict(
            first=name_row(first, n_train, names),
            second=name_row(second, n_train, names),
            first_value=get_value(first),
            second_value=get_value(second),
        )
        for first, second in zip(*shorten_pairs(pairs), strict=True)
    ]
