import numpy as np
import pytest

from mri_stages.baselines.nearest_neighbours import nearest_of_other_groups
from mri_stages.evaluation.leakage import measure_leakage
from mri_stages.ingest.phantoms import draw_phantoms
from mri_stages.storage.dataset import AllRows
from mri_stages.storage.records import Leakage

TRAIN = np.zeros((3, 1), np.uint8)
LABELS, SUBJECTS = np.array([0, 0, 1, 0, 0, 1]), np.array([1, 1, 2, 3, 2, 2])  # 3 has one row
NEAREST = np.array([[3, 3, 3, 2, 2, 0], [1, 0, 0, 0, 2, 2], [1, 0, 5, 2, 2, 0]])


def measured(subjects: np.ndarray | None, closeness: float = 1.0, n: int = 6) -> Leakage:
    rows = AllRows([TRAIN, TRAIN], np.resize(LABELS, n), subjects)
    return measure_leakage(rows, np.arange(6), NEAREST, np.full((3, 6), closeness))


def test_measure_leakage_without_ids_claims_nothing() -> None:
    found = measured(None, n=5000)
    assert (found.nearest_neighbour_given, found.nearest_neighbour_random) == (0, 4 / 6)
    assert (found.shared_subjects, found.sampled_rows) == (None, 6)
    assert all(number in found.sentence for number in ("0%", "67%", "among a sample of 6 rows"))
    assert "leak" not in found.sentence.lower()


def test_measure_leakage_counts_rows_of_shared_subjects_and_those_near_their_own() -> None:
    found = measured(SUBJECTS)
    assert (found.shared_subjects, found.same_subject_neighbour) == (2 / 3, 1 / 3)
    assert found.nearest_row_of_same_subject == 4 / 5  # of the subjects with several rows
    assert found.sentence.startswith("Leakage: 67% of")
    alone = measured(np.arange(6))
    assert (alone.shared_subjects, alone.nearest_row_of_same_subject) == (0, None)
    assert alone.sentence.startswith("No leakage")


def test_measure_leakage_names_a_small_share() -> None:
    subjects = np.arange(2000)
    subjects[-1] = 0
    rows = AllRows([TRAIN.repeat(100, 0)] * 2, np.resize(LABELS, 2000), subjects)
    found = measure_leakage(rows, np.array([0, 1, 2, 1997, 1998, 1999]), NEAREST, np.ones((3, 6)))
    assert found.sentence.startswith("Leakage: less than 1% of")


@pytest.mark.parametrize("wrong", [False, True])
def test_measure_leakage_of_phantoms_doubts_wrong_ids(wrong: bool) -> None:
    images, labels = draw_phantoms(subjects=24, slices=10, height=40, width=36, seed=3)
    x, subjects = images.reshape(240, -1), np.repeat(np.arange(24), 10)
    in_test = np.arange(240) >= 200
    found = nearest_of_other_groups(x, np.stack([in_test, in_test, np.arange(240)]).astype(int))
    ids = np.random.default_rng(0).permutation(subjects) if wrong else subjects
    rows = AllRows([x[:200], x[200:]], labels[subjects], ids)
    leakage = measure_leakage(rows, np.arange(240), *found)
    share = leakage.nearest_row_of_same_subject
    assert share is not None
    assert share < 0.2 if wrong else share > 0.8
    assert ("may be wrong" in leakage.sentence) is wrong
