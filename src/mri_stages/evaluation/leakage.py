"""Measure whether the test rows are new to a model, or of subjects that it trained on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.storage.dataset import AllRows
from mri_stages.storage.neighbours import GIVEN_SPLIT, RANDOM_FOLDS, SINGLE_ROWS, NeighbourTable
from mri_stages.storage.records import Leakage

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


def measure_leakage(rows: AllRows, table: NeighbourTable) -> Leakage:
    """Return the figures of leakage with one sentence about them, certain only with subject ids."""
    given_accuracy = compute_neighbour_accuracy(rows, table, GIVEN_SPLIT)
    random_accuracy = compute_neighbour_accuracy(rows, table, RANDOM_FOLDS)
    is_sample = len(table.compared) < len(rows.labels)
    sample_note = f" among a sample of {len(table.compared):,} rows" if is_sample else ""
    leakage = Leakage(
        sentence="",
        nearest_neighbour_given=given_accuracy,
        nearest_neighbour_random=random_accuracy,
        sampled_rows=len(table.compared) if is_sample else None,
    )

    if rows.subjects is None:
        sentence = (
            "Subject ids are unknown, so nobody can tell whether the test rows are of new subjects."
            f" Nearest neighbour{sample_note}, which learns nothing, has an accuracy of "
            f"{given_accuracy:.0%} on the given split and {random_accuracy:.0%} on random folds."
        )
        return leakage.model_copy(update={"sentence": sentence})

    shares = compute_subject_shares(rows, rows.subjects, table)
    check = check_subject_ids(rows.subjects, table)
    return leakage.model_copy(
        update={
            "sentence": write_sentence(shares, check, sample_note),
            "shared_subjects": shares.shared,
            "same_subject_neighbour": shares.same_neighbour,
            "nearest_row_of_same_subject": None if check is None else check.same_nearest,
        }
    )


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
