"""Are the test rows new to a model, or of subjects that it trained on?"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.evaluation.confidence import Subjects
from src.evaluation.nearest_neighbours import Neighbours

ALIKE = 0.5  # of the typical distance: rows nearer than that look alike
DOUBTFUL = 0.5  # share of rows that look like another row of their own subject


class Similarity(NamedTuple):  # of n test rows
    closeness: NDArray[np.float64]  # (n,), distance to the nearest training row / typical distance
    shared: NDArray[np.bool_] | None  # (n,), its subject also has training rows
    same: NDArray[np.bool_] | None  # (n,), its nearest training row is of its subject


def similarity(
    neighbours: Neighbours, in_test: NDArray[np.bool_], subjects: Subjects
) -> Similarity:
    """Return the similarity of the rows `in_test` (N,), which is grouping 0 of `neighbours`."""
    closeness = closeness_of(neighbours, 0)[in_test]
    if subjects is None:
        return Similarity(closeness, None, None)
    return Similarity(
        closeness,
        np.isin(subjects[in_test], subjects[~in_test]),
        subjects[neighbours.nearest[0, in_test]] == subjects[in_test],
    )


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


def describe_leakage(
    found: Similarity, ids_agree: tuple[float, float] | None, accuracies: dict[str, float]
) -> dict[str, Any]:
    """Return the content of plots/leakage.json: shares of the test rows, and a `sentence`.

    accuracies: of the nearest neighbour, on the "given" split and on "random" folds. With subject
    ids, leakage is certain. Without ids nothing is claimed: the two accuracies are all there is.
    """
    shares = {f"nearest_neighbour_{kind}": value for kind, value in accuracies.items()}
    of_neighbour = ", ".join(
        f"{value:.0%} on {'the given split' if kind == 'given' else 'random folds'}"
        for kind, value in accuracies.items()
    )
    if found.shared is None or found.same is None:
        return shares | {
            "sentence": "Subject ids are unknown, so nobody can tell whether the test rows are of "
            f"new subjects. Nearest neighbour, which learns nothing, is right on {of_neighbour}."
        }
    shared, same = float(found.shared.mean()), float(found.same.mean())
    shares |= {"shared_subjects": shared, "same_subject_neighbour": same}
    sentence = (
        f"Leakage: {shared:.0%} of the test rows are of subjects that also have training rows, "
        f"and the nearest training row of {same:.0%} is of the same subject, so test accuracy "
        "says little about new subjects."
        if shared > 0
        else "No leakage: no subject has rows in both train and test."
    )
    if ids_agree is not None:
        shares["nearest_row_of_same_subject"], alike = ids_agree
        if alike > DOUBTFUL > ids_agree[0]:
            sentence += (
                f" But the subject ids may be wrong: most rows look like another row, and for only "
                f"{ids_agree[0]:.0%} that row is of the same subject."
            )
    return shares | {"sentence": sentence}
