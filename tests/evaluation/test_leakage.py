import numpy as np
import pytest

from src.data.phantoms import phantoms
from src.data.splits import fold_of_rows
from src.evaluation.leakage import CLOSE, Similarity, describe_leakage, similarity
from src.evaluation.nearest_neighbours import Neighbours, nearest_of_other_groups


@pytest.mark.parametrize(("split", "leak"), [("slice", 1), ("random", 1), ("subject", 0)])
def test_describe_leakage_of_phantoms_finds_shared_subjects(split: str, leak: bool) -> None:
    images, labels = phantoms(subjects=24, slices=10, height=40, width=36, seed=3)
    subjects = np.repeat(np.arange(24), 10)
    in_test = np.tile(np.arange(10) >= 8, 24)  # two slices of each subject
    if split != "slice":
        groups = subjects if split == "subject" else None
        in_test = fold_of_rows(labels[subjects], groups, 4, seed=0) == 0
    neighbours = nearest_of_other_groups([images.reshape(240, -1)], in_test[None].astype(np.int64))
    for ids in (subjects, None):
        found = describe_leakage(similarity(neighbours, in_test, ids))
        assert found["leak"] is bool(leak)
        assert found["sentence"].startswith("Leak" if leak else "No leak")
        assert found.get("shared_subjects") == (None if ids is None else leak)
        assert ids is None or (found["same_subject_neighbour"] > 0.5) is bool(leak)


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
    assert similarity(neighbours, np.arange(6) >= 3, None)[1:] == (None, None)
    leakage = describe_leakage(found)
    assert [*leakage][:3] == ["closest_twentieth", "shared_subjects", "same_subject_neighbour"]
    assert [*leakage.values()][:3] == pytest.approx([0.05 * 2 * 0.5, 2 / 3, 1 / 3])
    assert describe_leakage(found._replace(shared=np.arange(3) < 1))["leak"] is True


def test_describe_leakage_without_ids_uses_the_threshold() -> None:
    for closeness, leak in ((CLOSE, False), (CLOSE - 1e-6, True), (np.nan, False)):
        found = describe_leakage(Similarity(np.full(9, closeness), None, None))
        assert found["leak"] is leak
        assert ("closest_twentieth" in found) is not np.isnan(closeness)
