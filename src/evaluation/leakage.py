"""Are the test rows new to a model, or of subjects that it trained on?"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from src.evaluation.nearest_neighbours import Neighbours

ALIKE = 0.5  # of the typical distance: rows nearer than that look alike
DOUBTFUL = 0.5  # share of rows that look like another row of their own subject


class Leakage(BaseModel):
    """What plots/leakage.json holds; a figure that is None is left out of it."""

    sentence: str
    nearest_neighbour_given: float  # its accuracy on the given split
    nearest_neighbour_random: float  # and on random folds of all rows
    sampled_rows: int | None = None  # how many it compared; None: all
    shared_subjects: float | None = None  # share of test rows of subjects with training rows
    same_subject_neighbour: float | None = None  # share whose nearest training row is of theirs
    nearest_row_of_same_subject: float | None = None  # see `same_id_share`


class Ids(NamedTuple):
    """What subject ids say of the given split."""

    shared: float  # share of the test rows whose subject also has training rows
    same: float  # share of the test rows whose nearest training row is of their subject
    agreement: tuple[float, float] | None  # see `same_id_share`


def closeness_of(neighbours: Neighbours, grouping: int) -> NDArray[np.float64]:
    """Return the distance (N,) of each row to its nearest, as a share of the typical distance."""
    distance = neighbours.distance[grouping]
    # A copy of another row is close, also where most rows are copies of one another.
    closeness: NDArray[np.float64] = np.zeros(len(distance))
    np.divide(distance, neighbours.typical, where=distance > 0, out=closeness)
    return closeness


def same_id_share(
    neighbours: Neighbours, subjects: NDArray[np.int64]
) -> tuple[float, float] | None:
    """Return how well subject ids agree with the images; None where no subject has two rows.

    In the last grouping each row is a group of its own. Returns two shares of the rows whose
    subject has other rows: those whose nearest row is of the same subject, and those that look like
    their nearest row.
    """
    _, subject, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    several = counts[subject] > 1
    if not several.any():
        return None
    same = subjects[neighbours.nearest[-1]] == subjects
    alike = closeness_of(neighbours, -1) < ALIKE
    return float(same[several].mean()), float(alike[several].mean())


def describe_leakage(ids: Ids | None, given: float, random: float, sampled: int | None) -> Leakage:
    """Return the figures of leakage with one sentence about them.

    ids: None where they are unknown. given, random: accuracies of the nearest neighbour.

    With subject ids, leakage is certain. Without ids nothing is claimed: the two accuracies are all
    there is.
    """
    among = f" among a sample of {sampled:,} rows" if sampled else ""
    figures: dict[str, Any] = {
        "nearest_neighbour_given": given, "nearest_neighbour_random": random,
        "sampled_rows": sampled,
    }  # fmt: skip
    if ids is None:
        sentence = (
            "Subject ids are unknown, so nobody can tell whether the test rows are of new subjects."
            f" Nearest neighbour{among}, which learns nothing, is right on {given:.0%} on the given"
            f" split, {random:.0%} on random folds."
        )
        return Leakage(sentence=sentence, **figures)
    figures |= {"shared_subjects": ids.shared, "same_subject_neighbour": ids.same}
    sentence = "No leakage: no subject has rows in both train and test."
    if ids.shared > 0:
        sentence = (
            f"Leakage: {_percent(ids.shared)} of the test rows are of subjects that also have "
            f"training rows, and the nearest training row{among} of {_percent(ids.same)} is of the "
            "same subject, so test accuracy says little about new subjects."
        )
    if ids.agreement is not None:
        agree, alike = ids.agreement
        figures["nearest_row_of_same_subject"] = agree
        if alike > DOUBTFUL > agree:
            sentence += (
                f" But the subject ids may be wrong: most rows look like another row, and for only "
                f"{agree:.0%} that row is of the same subject."
            )
    return Leakage(sentence=sentence, **figures)


def _percent(share: float) -> str:
    return "less than 1%" if 0 < share < 0.01 else f"{share:.0%}"
