"""Whether the test rows are new to a model, or close kin of the rows that it trained on."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from src.neighbours import Neighbours
from src.palette import BLUE, GREY, ORANGE

CLOSE = 0.37


class Kinship(NamedTuple):
    """Of each test row."""

    closeness: NDArray[np.float64]  # (n,), distance to the nearest training row / typical distance
    shared: NDArray[np.bool_] | None  # (n,), its subject also has training rows
    same: NDArray[np.bool_] | None  # (n,), its nearest training row is of its subject


def kinship(
    neighbours: Neighbours, in_test: NDArray[np.bool_], subjects: NDArray[np.int64] | None
) -> Kinship:
    """Of the test rows among all rows: `in_test` (N,) is the first grouping of `neighbours`."""
    distance, typical = neighbours.distance[0, in_test], neighbours.typical[in_test]
    # A copy of a training row is close, also where most test rows are copies of one another.
    closeness = np.divide(distance, typical, where=distance > 0, out=np.zeros_like(distance))
    if subjects is None:
        return Kinship(closeness, None, None)
    return Kinship(
        closeness,
        np.isin(subjects[in_test], subjects[~in_test]),
        subjects[neighbours.nearest[0, in_test]] == subjects[in_test],
    )


def leakage(kin: Kinship) -> dict[str, Any]:
    """What plots/leakage.json says: shares of the test rows, `leak`, and a sentence for people.

    With subject ids, a leak is a subject with rows in both sets. Without, it is told by
    similarity: `closeness` is how far a test row is from its nearest training row, as a share of
    its median distance to the other test rows, and it is a leak if a twentieth of the test rows
    are closer than CLOSE.

    That threshold is the middle between what was seen with and without leakage. The 5 % quantile
    was 0.30 on the public images, split by slice, and 0.27 to 0.31 on three sets of phantoms; on
    random folds 0.22 to 0.23 (five) and 0.10 to 0.13 (thirty); on subject-disjoint folds, where
    nothing leaks, 0.56 to 0.60 (five) and 0.43 to 0.52 (thirty). Data of few dimensions can be as
    close without any leak.
    """
    closest = np.quantile(kin.closeness, 0.05)
    found: dict[str, Any] = {} if np.isnan(closest) else {"closest_twentieth": float(closest)}
    if kin.shared is None or kin.same is None:
        leak = bool(closest < CLOSE)
        sentence = (
            f"Leak, by the look of it: the closest twentieth of the test rows are nearer than "
            f"{closest:.2f} of a typical distance to a training row, so test accuracy may say "
            "little about new subjects. Subject ids would tell for certain."
            if leak
            else "No leak seen by similarity. Subject ids would tell for certain."
        )
    else:
        shared, same = float(kin.shared.mean()), float(kin.same.mean())
        found |= {"shared_subjects": shared, "same_subject_neighbour": same}
        leak = shared > 0
        sentence = (
            f"Leak: {shared:.0%} of the test rows are of subjects that also have training rows, "
            f"and the nearest training row of {same:.0%} is of the same subject, so test accuracy "
            "says little about new subjects."
            if leak
            else "No leak: no subject has rows in both train and test."
        )
    return {**found, "leak": leak, "sentence": sentence}


def leakage_figure(kin: Kinship) -> Figure:
    """How close the test rows are to their nearest training rows, by whose those are."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    top = float(np.nan_to_num(kin.closeness).max(initial=1.0))
    if kin.same is None:
        groups = {"test rows": (kin.closeness, BLUE)}
    else:
        groups = {
            "nearest training row is of the same subject": (
                kin.closeness[kin.same],
                ORANGE,
            ),
            "of another subject": (kin.closeness[~kin.same], BLUE),
        }
    axes.hist(
        [values[np.isfinite(values)] for values, _ in groups.values()],
        bins=np.linspace(0, top, 41).tolist(),
        stacked=True,
        color=[colour for _, colour in groups.values()],
        label=list(groups),
    )
    if kin.same is None:
        axes.axvline(CLOSE, color=GREY, linestyle="--", label="close enough for a leak")
    axes.set_xlabel("distance to the nearest training row / median distance to the other test rows")
    axes.set_ylabel("test rows")
    axes.set_xlim(0, 1.02 * top)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("How close is each test row to a training row?")
    axes.legend(fontsize=9)
    return figure
