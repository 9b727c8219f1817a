"""Are the test rows new to a model, or of subjects that it trained on?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri_stages.storage.dataset import AllRows
from mri_stages.storage.records import Leakage

ALIKE = 0.5  # of the typical distance: rows nearer than that look alike
DOUBTFUL = 0.5  # share of rows that look like another row of their own subject

Numbers = NDArray[np.int64]


def measure_leakage(
    rows: AllRows, compared: Numbers, nearest: Numbers, closeness: NDArray[np.float64]
) -> Leakage:
    """Return the figures of leakage with one sentence about them, certain only with subject ids.

    nearest, closeness: (G, n), see `nearest_of_other_groups`, among the rows `compared` (n,). The
    groupings are train and test, random folds, ..., and last each row on its own.
    """
    labels, in_test = rows.labels[compared], rows.in_test[compared]
    right = labels[nearest] == labels
    given, random = float(right[0, in_test].mean()), float(right[1].mean())
    sampled = len(compared) if len(compared) < len(rows.labels) else None
    among = f" among a sample of {sampled:,} rows" if sampled else ""
    figures: dict[str, Any] = {"nearest_neighbour_given": given, "nearest_neighbour_random": random}
    if rows.subjects is None:
        sentence = (
            "Subject ids are unknown, so nobody can tell whether the test rows are of new subjects."
            f" Nearest neighbour{among}, which learns nothing, has an accuracy of {given:.0%} on"
            f" the given split and {random:.0%} on random folds."
        )
        return Leakage(sentence=sentence, sampled_rows=sampled, **figures)
    subjects = rows.subjects[compared]
    same = subjects[nearest] == subjects
    of_nearest = float(same[0, in_test].mean())
    shared = float(np.isin(rows.subjects[rows.in_test], rows.subjects[~rows.in_test]).mean())
    figures |= {"shared_subjects": shared, "same_subject_neighbour": of_nearest}
    sentence = "No leakage: no subject has rows in both train and test."
    if shared > 0:
        sentence = (
            f"Leakage: {percent(shared)} of the test rows are of subjects that also have "
            f"training rows, and the nearest training row{among} of {percent(of_nearest)} is of "
            "the same subject, so test accuracy says little about new subjects."
        )
    _, subject, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    several = counts[subject] > 1
    if several.any():
        agree = figures["nearest_row_of_same_subject"] = float(same[-1, several].mean())
        if (closeness[-1, several] < ALIKE).mean() > DOUBTFUL > agree:
            sentence += (
                f" But the subject ids may be wrong: most rows look like another row, and for only "
                f"{agree:.0%} that row is of the same subject."
            )
    return Leakage(sentence=sentence, sampled_rows=sampled, **figures)


def percent(share: float) -> str:
    return "less than 1%" if 0 < share < 0.01 else f"{share:.0%}"
