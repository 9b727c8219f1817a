"""Are the test rows new to a model, or similar to the rows that it trained on?"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.evaluation.confidence import Subjects
from src.evaluation.nearest_neighbours import Neighbours

CLOSE = 0.37


class Similarity(NamedTuple):  # of n test rows
    closeness: NDArray[np.float64]  # (n,), distance to the nearest training row / typical distance
    shared: NDArray[np.bool_] | None  # (n,), its subject also has training rows
    same: NDArray[np.bool_] | None  # (n,), its nearest training row is of its subject


def similarity(
    neighbours: Neighbours, in_test: NDArray[np.bool_], subjects: Subjects
) -> Similarity:
    """Return the similarity of the rows `in_test` (N,), which is grouping 0 of `neighbours`."""
    distance, typical = neighbours.distance[0, in_test], neighbours.typical[in_test]
    # A copy of a training row is close, also where most test rows are copies of one another.
    closeness = np.divide(distance, typical, where=distance > 0, out=np.zeros_like(distance))
    if subjects is None:
        return Similarity(closeness, None, None)
    return Similarity(
        closeness,
        np.isin(subjects[in_test], subjects[~in_test]),
        subjects[neighbours.nearest[0, in_test]] == subjects[in_test],
    )


def describe_leakage(found: Similarity) -> dict[str, Any]:
    """Return the content of plots/leakage.json: shares of the test rows, `leak` and a `sentence`.

    With subject ids, a leak is a subject with rows in both sets. Without ids, similarity decides:
    it is a leak if a twentieth of the test rows have a `closeness` below CLOSE. `closeness` is the
    distance to the nearest training row as a share of the median distance to other test rows.

    The threshold lies midway between what we measured with leakage (at most 0.31) and without (at
    least 0.43). Data of few dimensions can be as close without leakage.
    """
    closest = float(np.quantile(found.closeness, 0.05))
    shares = {} if np.isnan(closest) else {"closest_twentieth": closest}
    if found.shared is None or found.same is None:
        leak = closest < CLOSE
        sentence = (
            f"Leak, judging by similarity: the closest twentieth of the test rows are nearer than "
            f"{closest:.2f} of a typical distance to a training row, so test accuracy may say "
            "little about new subjects. Subject ids would tell for certain."
            if leak
            else "No leak found by similarity. Subject ids would tell for certain."
        )
    else:
        shared, same = float(found.shared.mean()), float(found.same.mean())
        shares |= {"shared_subjects": shared, "same_subject_neighbour": same}
        leak = shared > 0
        sentence = (
            f"Leak: {shared:.0%} of the test rows are of subjects that also have training rows, "
            f"and the nearest training row of {same:.0%} is of the same subject, so test accuracy "
            "says little about new subjects."
            if leak
            else "No leak: no subject has rows in both train and test."
        )
    return {**shares, "leak": leak, "sentence": sentence}
