"""A leak is told with subject ids and without, and only where there is one."""

import numpy as np
import pytest

from src.leakage import Kinship, kinship, leakage, leakage_figure
from src.neighbours import nearest_of_other_groups
from src.phantoms import phantoms
from src.splits import fold_of_rows


def of_phantoms(split: str, known: bool) -> Kinship:
    """Of phantom slices, split by subject, at random, or by slice."""
    images, labels = phantoms(subjects=24, slices=10, height=40, width=36, seed=3)
    x = images.reshape(240, -1)
    subjects = np.repeat(np.arange(24), 10)
    match split:
        case "slice":
            in_test = np.tile(np.arange(10) >= 8, 24)
        case "subject":
            in_test = fold_of_rows(labels[subjects], subjects, 4, seed=0) == 0
        case _:
            in_test = fold_of_rows(labels[subjects], None, 4, seed=0) == 0
    neighbours = nearest_of_other_groups([x], in_test[None].astype(np.int64))
    return kinship(neighbours, in_test, subjects if known else None)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("split", "leak"), [("slice", 1), ("random", 1), ("subject", 0)])
def test_a_leak_is_seen_where_subjects_are_shared(split: str, leak: bool, known: bool) -> None:
    found = leakage(of_phantoms(split, known))
    assert found["leak"] is bool(leak)
    assert found["sentence"].startswith("Leak" if leak else "No leak")
    assert ("shared_subjects" in found) is known
    if known:
        assert found["shared_subjects"] == leak
        assert (found["same_subject_neighbour"] > 0.5) is bool(leak)


def test_the_shares_are_those_of_the_test_rows() -> None:
    found = leakage(
        Kinship(np.array([0.1, 0.5, 0.9, 0.9]), np.array([1, 1, 1, 0]) > 0, np.eye(4)[0] > 0)
    )
    assert (found["shared_subjects"], found["same_subject_neighbour"]) == (0.75, 0.25)
    assert "75% of the test rows" in found["sentence"]


def test_a_single_test_row_has_no_typical_distance() -> None:
    found = leakage(Kinship(np.array([np.nan]), None, None))
    assert found["leak"] is False
    assert "closest_twentieth" not in found
    leakage_figure(Kinship(np.array([np.nan]), None, None))
