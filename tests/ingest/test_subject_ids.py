import re
from pathlib import Path

import numpy as np
import pytest

from mri_stages.errors import InputError
from mri_stages.ingest.image_folder import list_images
from mri_stages.ingest.subject_ids import (
    NoSubjects,
    assign_subjects,
    find_class_subjects,
    match_subjects,
    read_subject_table,
)


def public_set(n_train: int, places: list[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """Return the names of the train and test files of a class; `places`: slice, subject of test."""
    train = [f"mildDem{i}.jpg" for i in range(n_train)]
    return train, [f"{s}.jpg" if k == 1 else f"{s} ({k}).jpg" for s, k in places]


def test_class_subjects_of_the_public_numbering() -> None:
    # As published: slices 5 and 6 in test, and slice 4 of some subjects.
    test = [(4, 1), (4, 2), (4, 11), *((s, k) for s in (5, 6) for k in range(1, 13))]
    in_order = [9, 10, 11, 1, 2, 3, 4, 5, 6, 7, 8, 0]  # of strings: (10), (11), (12), (2), ...
    train_ids, test_ids = find_class_subjects(*public_set(45, test))
    assert train_ids == 3 * in_order + [9, 11, 2, 3, 4, 5, 6, 7, 8]
    assert test_ids == [k - 1 for _, k in test]
    # The last slice has gaps and is all test.
    test = [(4, 1), (4, 2), (4, 3), (4, 4), (5, 2), (5, 4)]
    assert find_class_subjects(*public_set(12, test)) == (
        [1, 2, 3, 0] * 3,
        [k - 1 for _, k in test],
    )


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
    find_class_subjects(TRAIN, TEST)
    with pytest.raises(NoSubjects):
        find_class_subjects(train, test)


NAMES = ["a/pat7_1.png", "b/pat7_2.png", "b/pat07.png"]


@pytest.mark.parametrize("table", ["\ufefffile,subject\n", "class,subject,file\n"])  # of Excel
def test_subjects_by_pattern_and_table_hold_across_classes(tmp_path: Path, table: str) -> None:
    ids = ["7", "7", "07"]
    assert match_subjects(NAMES, r"pat(\d+)") == ids
    lines = [
        (f"x,{k},{n}\n" if "class" in table else f"{n},{k}\n")
        for n, k in zip(NAMES, ids, strict=True)
    ]
    (tmp_path / "ids.csv").write_text(table + "".join(lines))
    assert read_subject_table(NAMES, tmp_path / "ids.csv") == ids


@pytest.mark.parametrize(
    ("pattern", "named"),
    [("pat(", "pat("), ("pat", "group"), (r"pat(\d)_", "1 of 3 files, such as b/pat07.png")],
)
def test_subjects_by_a_wrong_pattern_names_it(pattern: str, named: str) -> None:
    with pytest.raises(InputError, match=re.escape(named)):
        match_subjects(NAMES, pattern)


@pytest.mark.parametrize(
    ("table", "named"),
    [
        *((f"{header}\na/pat7_1.png,7\n", "columns file, subject") for header in ("x,y", "file,x")),
        ("file,subject\na/pat7_1.png,7\nb/pat7_2.png\n", "2 of 3 files, such as b/pat7_2.png"),
        ("file,subject\na/pat7_1.png,7\na/pat7_1.png,8\n", "two subjects"),
    ],
)  # fmt: skip
def test_subjects_in_a_wrong_table_names_it(tmp_path: Path, table: str, named: str) -> None:
    (tmp_path / "ids.csv").write_text(table)
    with pytest.raises(InputError, match=rf"ids\.csv: .*{named}"):
        read_subject_table(NAMES, tmp_path / "ids.csv")


def test_subject_ids_of_the_real_slices_are_200(shared_slices: Path) -> None:
    files, classes, _ = list_images(shared_slices)
    ids = assign_subjects(files, classes, None, None)
    in_test = np.array([file.split == "test" for file in files])
    assert np.bincount(ids[~in_test]).tolist() == [20] * 200
    assert (in_test.sum(), len(np.unique(ids[in_test]))) == (1121, 200)
