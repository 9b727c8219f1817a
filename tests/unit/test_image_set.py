"""Whose image a file of the public set is, from its name."""

from pathlib import Path

import pytest

from src.image_set import NoSubjects, class_subjects, list_images, opened, with_subjects


def name(slice_: int, subject: int) -> str:
    return f"{slice_}.jpg" if subject == 1 else f"{slice_} ({subject}).jpg"


def public_set(subjects: int, slices: int, test: set[tuple[int, int]]) -> list[list[str]]:
    """Names of the train and test files of a class as the public set numbers them."""
    cells = train_cells(subjects, slices, test)
    return [[f"mildDem{i}.jpg" for i in range(len(cells))], [name(*cell) for cell in sorted(test)]]


def train_cells(subjects: int, slices: int, test: set[tuple[int, int]]) -> list[tuple[int, int]]:
    cells = [(s, k) for s in range(1, slices + 1) for k in range(1, subjects + 1)]
    # String order inside a slice: '26 (10).jpg' before '26 (2).jpg', '26.jpg' last.
    return sorted((c for c in cells if c not in test), key=lambda c: (c[0], name(*c)))


def test_the_published_numbering_gives_the_subjects() -> None:
    # As published: slices 5 and 6 in test, and slice 4 of some subjects, so gaps shift numbers.
    test = {(s, k) for s in (5, 6) for k in range(1, 13)} | {(4, 1), (4, 2), (4, 11)}
    train_ids, test_ids = class_subjects(*public_set(12, 6, test))
    assert train_ids == [k - 1 for _, k in train_cells(12, 6, test)]
    assert test_ids == [k - 1 for _, k in sorted(test)]
    assert train_ids[:12] == [9, 10, 11, 1, 2, 3, 4, 5, 6, 7, 8, 0]


def test_gaps_in_a_last_slice_that_is_all_test_shift_no_number() -> None:
    test = {(s, k) for s in (4, 5) for k in range(1, 5)} - {(5, 1), (5, 3)}
    train_names, _ = public_set(4, 3, set())
    train_ids, test_ids = class_subjects(train_names, [name(*cell) for cell in sorted(test)])
    assert train_ids == [1, 2, 3, 0] * 3
    assert test_ids == [k - 1 for _, k in sorted(test)]


TRAIN, TEST = public_set(4, 5, {(s, k) for s in (4, 5) for k in range(1, 5)})


@pytest.mark.parametrize(
    ("train", "test", "reason"),
    [
        (TRAIN[:-1], TEST, "do not fill"),
        (TRAIN[1:], TEST, "not numbered from 0"),
        ([*TRAIN[:-1], "mildDem99.jpg"], TEST, "not numbered from 0"),
        ([*TRAIN, "mildDem12.jpg"], TEST, "do not fill"),
        ([*TRAIN[:-1], "other11.jpg"], TEST, "several kinds"),
        ([*TRAIN[:-1], "last.jpg"], TEST, "not named by one number"),
        (TRAIN, [n for n in TEST if n != "4 (2).jpg"], "do not fill"),
        (TRAIN, [*TEST, "4 (1).jpg"], "same slice and subject"),
        (TRAIN, [*TEST, "x4.jpg"], "not named"),
        ([f"mildDem{i}.jpg" for i in range(4)], ["5.jpg"], "fewer than two subjects"),
        (TRAIN, [*TEST, "999999 (999999).jpg"], "too many"),
        # Slice 5 is partly train: a gap there could be any subject's.
        ([f"mildDem{i}.jpg" for i in range(17)], ["5.jpg", "5 (4).jpg"], "gaps and images in"),
    ],
)
def test_names_of_that_look_without_the_meaning_give_none(
    train: list[str], test: list[str], reason: str
) -> None:
    with pytest.raises(NoSubjects, match=reason):
        class_subjects(train, test)


def test_the_real_slices_are_of_200_subjects(shared_slices: Path) -> None:
    with opened(shared_slices) as tree:
        files, classes, _ = list_images(tree, shared_slices)
        files = with_subjects(files, classes)
    assert [len(files[split]) for split in ("train", "test")] == [4000, 1121]
    train = [file.subject for file in files["train"]]
    assert set(train) == {file.subject for file in files["test"]} == set(range(200))
    assert {train.count(subject) for subject in range(200)} == {20}
    assert {(file.subject, file.label) for file in files["test"]} == {
        (file.subject, file.label) for file in files["train"]
    }
