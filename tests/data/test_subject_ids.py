from pathlib import Path

import pytest

from src.data.image_folder import list_images, opened
from src.data.subject_ids import NoSubjects, class_subjects, subject_ids


def public_set(n_train: int, places: list[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """Return the names of the train and test files of a class; `places`: slice, subject of test."""
    train = [f"mildDem{i}.jpg" for i in range(n_train)]
    return train, [f"{s}.jpg" if k == 1 else f"{s} ({k}).jpg" for s, k in places]


def test_class_subjects_of_the_public_numbering() -> None:
    # As published: slices 5 and 6 in test, and slice 4 of some subjects.
    test = [(4, 1), (4, 2), (4, 11), *((s, k) for s in (5, 6) for k in range(1, 13))]
    in_order = [9, 10, 11, 1, 2, 3, 4, 5, 6, 7, 8, 0]  # of strings: (10), (11), (12), (2), ...
    train_ids, test_ids = class_subjects(*public_set(45, test))
    assert train_ids == 3 * in_order + [9, 11, 2, 3, 4, 5, 6, 7, 8]
    assert test_ids == [k - 1 for _, k in test]
    # The last slice has gaps and is all test.
    test = [(4, 1), (4, 2), (4, 3), (4, 4), (5, 2), (5, 4)]
    assert class_subjects(*public_set(12, test)) == ([1, 2, 3, 0] * 3, [k - 1 for _, k in test])


TRAIN, TEST = public_set(12, [(s, k) for s in (4, 5) for k in range(1, 5)])


@pytest.mark.parametrize(
    ("train", "test"),
    [
        *((train, TEST) for train in (TRAIN[:-1], TRAIN[1:], [*TRAIN, "mildDem12.jpg"])),
        *(([*TRAIN[:-1], f"{last}.jpg"], TEST) for last in ("other11", "last", "mildDem011")),
        (TRAIN, [name for name in TEST if name != "4 (2).jpg"]),
        *((TRAIN, [*TEST, name]) for name in ("4 (1).jpg", "0 (2).jpg", "999999 (999999).jpg")),
        ([f"mildDem{i}.jpg" for i in range(4)], ["5.jpg"]),  # one subject
        # Slice 5 is partly train: a gap there could be any subject's.
        ([f"mildDem{i}.jpg" for i in range(17)], ["5.jpg", "5 (4).jpg"]),
    ],
)  # fmt: skip
def test_class_subjects_of_names_without_meaning_raises(train: list[str], test: list[str]) -> None:
    class_subjects(TRAIN, TEST)
    with pytest.raises(NoSubjects):
        class_subjects(train, test)


def test_subject_ids_of_the_real_slices_are_200(shared_slices: Path) -> None:
    with opened(shared_slices) as tree:
        files, classes, _ = list_images(tree, shared_slices)
    train, test = (ids.tolist() for ids in subject_ids(files, classes).values())
    assert [train.count(subject) for subject in range(200)] == [20] * 200
    assert (len(train), len(test), set(test)) == (4000, 1121, set(range(200)))
