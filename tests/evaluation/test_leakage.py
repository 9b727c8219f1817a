import numpy as np
import pytest

from src.data.phantoms import phantoms
from src.evaluation.leakage import Ids, closeness_of, describe_leakage, same_id_share
from src.evaluation.nearest_neighbours import Neighbours, nearest_of_other_groups


def test_same_id_share_of_phantoms_is_low_for_wrong_ids() -> None:
    images, _ = phantoms(subjects=24, slices=10, height=40, width=36, seed=3)
    subjects = np.repeat(np.arange(24), 10)
    groupings = np.stack([np.arange(240) % 10 >= 8, np.arange(240)]).astype(np.int64)
    neighbours = nearest_of_other_groups([images.reshape(240, -1)], groupings)
    for ids, doubtful in (
        (subjects, False),
        (np.random.default_rng(0).permutation(subjects), True),
    ):
        agreement = same_id_share(neighbours, ids)
        assert agreement is not None
        assert agreement[0] < 0.2 if doubtful else agreement[0] > 0.8
        found = describe_leakage(Ids(0, 0, agreement), 0.9, 0.8, None)
        assert ("may be wrong" in found.sentence) is doubtful


def test_describe_leakage_without_ids_claims_nothing() -> None:
    found = describe_leakage(None, 0.9, 0.8, 5000)
    assert (found.nearest_neighbour_given, found.nearest_neighbour_random) == (0.9, 0.8)
    assert found.shared_subjects is None
    assert all(number in found.sentence for number in ("90%", "80%", "5,000"))
    assert "leak" not in found.sentence.lower()


@pytest.mark.parametrize("shared", [0.004, 0.5])
def test_describe_leakage_names_any_shared_subject(shared: float) -> None:
    found = describe_leakage(Ids(shared, shared, None), 0.9, 0.8, None)
    assert found.shared_subjects == found.same_subject_neighbour == shared
    assert found.sentence.startswith("Leakage")
    assert " 0%" not in found.sentence


def test_closeness_of_a_copy_is_0() -> None:
    distance, typical = np.array([[9, 1.0, 3.0, 0.0]]), np.array([9, 2, 4, 0.0])
    neighbours = Neighbours(np.zeros((1, 4), int), distance, typical)
    assert closeness_of(neighbours, 0).tolist() == [1, 0.5, 0.75, 0]


def test_same_id_share_is_of_the_subjects_with_several_rows() -> None:
    neighbours = Neighbours(
        nearest=np.array([[9] * 5, [1, 0, 4, 2, 3]]),
        distance=np.array([[9] * 5, [4.9, 5.1, 4, 1, 0.0]]),
        typical=np.full(5, 10.0),
    )
    subjects = np.array([1, 1, 2, 3, 2])  # subject 3 has one row
    assert same_id_share(neighbours, subjects) == (3 / 4, 3 / 4)
    assert same_id_share(neighbours, np.arange(5)) is None
