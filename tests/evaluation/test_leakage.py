import numpy as np
import pytest

from src.data.phantoms import phantoms
from src.data.splits import fold_of_rows
from src.evaluation.leakage import describe_leakage, same_id_share, similarity
from src.evaluation.nearest_neighbours import Neighbours, nearest_of_other_groups

ACCURACIES = {"given": 0.9, "random": 0.8}


@pytest.mark.parametrize(("split", "leak"), [("slice", 1), ("random", 1), ("subject", 0)])
def test_describe_leakage_of_phantoms_finds_shared_subjects(split: str, leak: float) -> None:
    images, labels = phantoms(subjects=24, slices=10, height=40, width=36, seed=3)
    subjects = np.repeat(np.arange(24), 10)
    in_test = np.tile(np.arange(10) >= 8, 24)  # two slices of each subject
    if split != "slice":
        groups = subjects if split == "subject" else None
        in_test = fold_of_rows(labels[subjects], groups, 4, seed=0) == 0
    groupings = np.stack([in_test, np.arange(240)]).astype(np.int64)
    neighbours = nearest_of_other_groups([images.reshape(240, -1)], groupings)
    agreement = same_id_share(neighbours, subjects)
    assert agreement is not None
    found = describe_leakage(similarity(neighbours, in_test, subjects), agreement, ACCURACIES)
    assert found["shared_subjects"] == leak
    assert (found["same_subject_neighbour"] > 0.5) is bool(leak)
    assert found["nearest_row_of_same_subject"] > 0.8
    assert "may be wrong" not in found["sentence"]

    wrong = np.random.default_rng(0).permutation(subjects)
    agreement = same_id_share(neighbours, wrong)
    found = describe_leakage(similarity(neighbours, in_test, wrong), agreement, ACCURACIES)
    assert found["nearest_row_of_same_subject"] < 0.2
    assert "may be wrong" in found["sentence"]


def test_describe_leakage_without_ids_claims_nothing() -> None:
    neighbours = Neighbours(np.zeros((1, 4), int), np.zeros((1, 4)), np.ones(4))  # all copies
    found = describe_leakage(similarity(neighbours, np.arange(4) > 1, None), None, ACCURACIES)
    assert [*found] == ["nearest_neighbour_given", "nearest_neighbour_random", "sentence"]
    assert "90%" in found["sentence"]
    assert "80%" in found["sentence"]
    assert "leak" not in found["sentence"].lower()


def test_similarity_and_leakage_are_those_of_the_test_rows() -> None:
    neighbours = Neighbours(
        nearest=np.array([[4, 5, 5, 1, 2, 1], [0] * 6]),
        distance=np.array([[9, 9, 9, 1.0, 3.0, 0.0], [7] * 6]),
        typical=np.array([9, 9, 9, 2, 4, 0.0]),
    )
    found = similarity(neighbours, np.arange(6) >= 3, np.array([1, 2, 3, 4, 3, 1]))
    closeness, *known = (None if values is None else values.tolist() for values in found)
    assert closeness == [0.5, 0.75, 0]  # a copy is close, whatever is typical
    assert known == [[False, True, True], [False, True, False]]
    leakage = describe_leakage(found, None, ACCURACIES)
    assert leakage["shared_subjects"] == pytest.approx(2 / 3)
    assert leakage["same_subject_neighbour"] == pytest.approx(1 / 3)


def test_same_id_share_is_of_the_subjects_with_several_rows() -> None:
    neighbours = Neighbours(
        nearest=np.array([[9] * 5, [1, 0, 4, 2, 3]]),
        distance=np.array([[9] * 5, [4.9, 5.1, 4, 1, 0.0]]),
        typical=np.full(5, 10.0),
    )
    subjects = np.array([1, 1, 2, 3, 2])  # subject 3 has one row
    assert same_id_share(neighbours, subjects) == (3 / 4, 3 / 4)
    assert same_id_share(neighbours, np.arange(5)) is None
