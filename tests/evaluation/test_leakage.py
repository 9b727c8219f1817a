import numpy as np
import pytest

from mri_stages.baselines.nearest_neighbours import find_nearest_neighbours
from mri_stages.evaluation.leakage import add_copies, format_percent, measure_leakage
from mri_stages.ingest.phantoms import draw_phantoms
from mri_stages.storage.copies import Copies
from mri_stages.storage.dataset import AllRows
from mri_stages.storage.neighbours import (
    GIVEN_SPLIT,
    RANDOM_FOLDS,
    SINGLE_ROWS,
    Neighbours,
    NeighbourTable,
)
from mri_stages.storage.records import Leakage, RowCopy

PART = np.zeros((3, 1), np.uint8)  # rows 0 to 2 are train, 3 to 5 are test
LABELS = np.array([0, 0, 1, 0, 0, 1])
SUBJECTS = np.array([1, 1, 2, 3, 2, 2])  # subject 3 has one row
NEAREST = {
    GIVEN_SPLIT: [3, 3, 3, 2, 2, 0],
    RANDOM_FOLDS: [1, 0, 0, 0, 2, 2],
    SINGLE_ROWS: [1, 0, 5, 2, 2, 0],
}


def make_table(closeness: float = 1.0, compared: np.ndarray | None = None) -> NeighbourTable:
    """Return a table of six compared rows."""
    if compared is None:
        compared = np.arange(6)
    return NeighbourTable(
        compared,
        {
            name: Neighbours(compared[np.array(nearest)], np.full(6, closeness))
            for name, nearest in NEAREST.items()
        },
    )


def measure(subjects: np.ndarray | None, closeness: float = 1.0) -> Leakage:
    return measure_leakage(AllRows([PART, PART], LABELS, subjects), make_table(closeness))


def test_leakage_has_the_accuracy_of_the_nearest_neighbour() -> None:
    leakage = measure(None)
    assert leakage.nearest_neighbour_given == 0  # of the test rows
    assert leakage.nearest_neighbour_random == 4 / 6


def test_leakage_without_ids_claims_nothing() -> None:
    leakage = measure(None)
    assert leakage.shared_subjects is None
    assert leakage.same_subject_neighbour is None
    assert "leak" not in leakage.sentence.lower()


def test_leakage_without_ids_names_both_accuracies() -> None:
    sentence = measure(None).sentence
    assert "0%" in sentence
    assert "67%" in sentence


def test_leakage_of_all_rows_names_no_sample() -> None:
    leakage = measure(None)
    assert leakage.sampled_rows is None
    assert "sample" not in leakage.sentence


@pytest.mark.parametrize("has_ids", [False, True])
def test_leakage_of_a_sample_says_so(has_ids: bool) -> None:
    labels = np.resize(LABELS, 5000)
    subjects = np.zeros(5000, np.int64) if has_ids else None
    leakage = measure_leakage(AllRows([PART, PART], labels, subjects), make_table())
    assert leakage.sampled_rows == 6
    assert "a sample of 6 rows" in leakage.sentence


def measure_copies(n_copies: int, subjects: np.ndarray | None = None) -> str:
    return measure_leakage(AllRows([PART, PART], LABELS, subjects), make_table(), n_copies).sentence


def test_leakage_of_copies_needs_no_ids() -> None:
    assert measure_copies(2).startswith("Leakage: 2 of 3 test rows ")
    assert "whether the other test rows" in measure_copies(2)


def test_leakage_of_copies_alone_leaves_nothing_unknown() -> None:
    assert measure_copies(3).startswith("Leakage: all 3 test rows ")
    assert "unknown" not in measure_copies(3)


def test_leakage_of_copies_is_not_denied_by_ids() -> None:
    assert "No leakage" not in measure_copies(1, np.array([1, 1, 2, 3, 3, 3]))


def test_leakage_counts_and_names_each_kind_of_copy() -> None:
    """Row 2 is a copy of 1, 3 of 0, and 4 of 1; row 5 has one value."""
    copies = Copies(np.array([0, 1, 1, 0, 1, 5]), np.arange(6) == 5)
    rows = AllRows([PART, PART], LABELS, SUBJECTS)
    leakage = add_copies(measure(SUBJECTS), rows, copies, ["a", "b"], {("test", 0): "x.png"})
    assert leakage.copied_test_rows == 2
    assert leakage.images_of_two_classes == 1
    assert leakage.images_of_two_subjects == 2
    assert leakage.constant_rows == 1
    assert leakage.copies is not None
    assert leakage.copies[0] == RowCopy(test="x.png", train="train row 0")
    assert leakage.class_conflicts is not None
    (conflict,) = leakage.class_conflicts
    assert (conflict.first_value, conflict.second_value) == ("a", "b")


def test_leakage_without_copies_has_no_counts_of_them() -> None:
    copies = Copies(np.arange(6), np.zeros(6, np.bool_))
    rows = AllRows([PART, PART], LABELS, SUBJECTS)
    assert add_copies(measure(SUBJECTS), rows, copies, ["a", "b"], {}) == measure(SUBJECTS)


def test_leakage_without_folds_has_no_accuracy_on_them() -> None:
    table = make_table()
    del table.by_grouping[RANDOM_FOLDS]
    leakage = measure_leakage(AllRows([PART, PART], LABELS, None), table)
    assert leakage.nearest_neighbour_random is None
    assert "folds" not in leakage.sentence


def test_leakage_counts_rows_of_shared_subjects() -> None:
    leakage = measure(SUBJECTS)
    assert leakage.shared_subjects == 2 / 3
    assert leakage.sentence.startswith("Leakage: 67% of")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (0.001, "less than 1%"), (0.01, "1%"), (1, "100%")],
)
def test_percent_of_few_rows_is_not_0(share: float, text: str) -> None:
    assert format_percent(share) == text


def test_leakage_counts_test_rows_near_their_own_subject() -> None:
    assert measure(SUBJECTS).same_subject_neighbour == 1 / 3


def test_leakage_counts_near_rows_of_subjects_with_several() -> None:
    assert measure(SUBJECTS).nearest_row_of_same_subject == 4 / 5


def test_leakage_without_shared_subjects_is_none() -> None:
    leakage = measure(np.array([1, 1, 2, 3, 3, 3]))
    assert leakage.shared_subjects == 0
    assert leakage.sentence.startswith("No leakage")


def test_leakage_of_single_rows_has_no_nearest_row_of_a_subject() -> None:
    assert measure(np.arange(6)).nearest_row_of_same_subject is None


def test_leakage_of_a_sample_counts_the_subjects_of_all_rows() -> None:
    subjects = np.arange(2000)
    subjects[-1] = 0
    rows = AllRows([PART.repeat(100, 0)] * 2, np.resize(LABELS, 2000), subjects)
    table = make_table(compared=np.array([0, 1, 2, 1997, 1998, 1999]))
    leakage = measure_leakage(rows, table)
    assert leakage.shared_subjects == 1 / 1700
    assert leakage.sentence.startswith("Leakage: less than 1% of")


@pytest.mark.parametrize(("closeness", "is_doubtful"), [(0.49, True), (0.5, False)])
def test_leakage_doubts_ids_of_rows_that_look_alike(closeness: float, is_doubtful: bool) -> None:
    leakage = measure(np.array([1, 2, 1, 3, 4, 3]), closeness)
    assert leakage.nearest_row_of_same_subject == 0
    assert ("may be wrong" in leakage.sentence) is is_doubtful


def test_leakage_trusts_ids_of_rows_near_their_own_subject() -> None:
    assert "may be wrong" not in measure(SUBJECTS, closeness=0.1).sentence


@pytest.mark.parametrize("is_wrong", [False, True])
def test_leakage_of_phantoms_doubts_wrong_ids(is_wrong: bool) -> None:
    images, labels = draw_phantoms(subjects=24, slices=10, height=40, width=36, seed=3)
    pixels = images.reshape(240, -1)
    subjects = np.repeat(np.arange(24), 10)
    test_mask = np.arange(240) >= 200
    split = test_mask.astype(int)
    groupings = {GIVEN_SPLIT: split, RANDOM_FOLDS: split, SINGLE_ROWS: np.arange(240)}
    neighbours = find_nearest_neighbours(pixels, groupings, reference=GIVEN_SPLIT)

    ids = np.random.default_rng(0).permutation(subjects) if is_wrong else subjects
    rows = AllRows([pixels[:200], pixels[200:]], labels[subjects], ids)
    leakage = measure_leakage(rows, NeighbourTable(np.arange(240), neighbours))
    assert ("may be wrong" in leakage.sentence) is is_wrong
