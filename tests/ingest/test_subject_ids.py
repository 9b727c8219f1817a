"""Subject ids by a pattern, a table, and the numbering of the public set."""

import re
from pathlib import Path

import numpy as np
import pytest

from mri_stages.errors import InputError
from mri_stages.ingest.image_file import PillowPicture
from mri_stages.ingest.image_folder import list_images
from mri_stages.ingest.image_set import ImageFile, ImageSet
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.ingest.subject_ids import (
    NoSubjectsError,
    assign_subjects,
    find_class_subjects,
    match_subjects,
    number_ids,
    read_subject_table,
)


def name_train_files(n_files: int) -> list[str]:
    return [f"mildDem{number}.jpg" for number in range(n_files)]


def name_test_files(positions: list[tuple[int, int]]) -> list[str]:
    """Return the names of test files: (slice, subject), both from 1."""
    return [
        f"{slice_number}.jpg" if subject == 1 else f"{slice_number} ({subject}).jpg"
        for slice_number, subject in positions
    ]


# Twelve subjects and six slices: 5 and 6 are test, and slice 4 of some subjects, as published.
TWELVE_SUBJECTS = [(4, 1), (4, 2), (4, 11)]
TWELVE_SUBJECTS += [(5, subject) for subject in range(1, 13)]
TWELVE_SUBJECTS += [(6, subject) for subject in range(1, 13)]


def test_class_subjects_of_train_follow_the_names() -> None:
    # Inside a slice, names are ordered as text: (10), (11), (12), (2), ..., and the one without.
    train, _ = find_class_subjects(name_train_files(45), name_test_files(TWELVE_SUBJECTS))
    one_slice = [9, 10, 11, 1, 2, 3, 4, 5, 6, 7, 8, 0]
    assert train == 3 * one_slice + [9, 11, 2, 3, 4, 5, 6, 7, 8]


def test_class_subjects_of_test_are_in_the_names() -> None:
    _, test = find_class_subjects(name_train_files(45), name_test_files(TWELVE_SUBJECTS))
    assert test == [subject - 1 for _, subject in TWELVE_SUBJECTS]


def test_class_subjects_keep_the_order_of_the_files() -> None:
    # Files are listed in the order of their text: 10 comes before 2.
    train = name_train_files(45)
    test = name_test_files(TWELVE_SUBJECTS)
    subjects = dict(zip(train, find_class_subjects(train, test)[0], strict=True))
    by_text = sorted(train)
    assert find_class_subjects(by_text, test)[0] == [subjects[name] for name in by_text]


def test_class_subjects_allow_gaps_in_a_test_slice() -> None:
    positions = [(4, 1), (4, 2), (4, 3), (4, 4), (5, 2), (5, 4)]
    train, test = find_class_subjects(name_train_files(12), name_test_files(positions))
    assert train == [1, 2, 3, 0] * 3
    assert test == [0, 1, 2, 3, 1, 3]


def test_class_subjects_of_two_subjects() -> None:
    train, test = find_class_subjects(name_train_files(2), name_test_files([(2, 1), (2, 2)]))
    assert (train, test) == ([1, 0], [0, 1])


# A good class of four subjects and five slices.
TRAIN = name_train_files(12)
TEST = name_test_files([(4, 1), (4, 2), (4, 3), (4, 4), (5, 1), (5, 2), (5, 3), (5, 4)])


@pytest.mark.parametrize(
    ("train", "test"),
    [
        pytest.param(TRAIN[:-1], TEST, id="a train file is missing"),
        pytest.param(TRAIN[1:], TEST, id="train starts at 1"),
        pytest.param([*TRAIN, "mildDem12.jpg"], TEST, id="a train file too many"),
        pytest.param([*TRAIN[:-1], "other11.jpg"], TEST, id="two prefixes"),
        pytest.param([*TRAIN[:-1], "last.jpg"], TEST, id="no number"),
        pytest.param([*TRAIN[:-1], "mildDem011.jpg"], TEST, id="a leading 0"),
        pytest.param(TRAIN, TEST[:1] + TEST[2:], id="a gap in the last but one slice"),
        pytest.param(TRAIN, [*TEST, "4 (1).jpg"], id="one position by two names"),
        pytest.param(TRAIN, [*TEST, "0 (2).jpg"], id="slice 0"),
        pytest.param(TRAIN, [*TEST, "999999 (999999).jpg"], id="far too many positions"),
        pytest.param(name_train_files(4), ["5.jpg"], id="one subject"),
        pytest.param(name_train_files(17), ["5.jpg", "5 (4).jpg"], id="gaps beside train images"),
    ],
)
def test_class_subjects_of_other_names_raise(train: list[str], test: list[str]) -> None:
    find_class_subjects(TRAIN, TEST)
    with pytest.raises(NoSubjectsError):
        find_class_subjects(train, test)


def make_files(label: int, train: list[str], test: list[str]) -> list[ImageFile]:
    return [
        *(make_file(name, f"train/c/{name}", "train", label) for name in train),
        *(make_file(name, f"test/c/{name}", "test", label) for name in test),
    ]


def make_file(name: str, path: str, split: str, label: int) -> ImageFile:
    return ImageFile(PillowPicture(Path(name)), path, split, label)


def test_assign_subjects_of_public_names_by_class() -> None:
    files = [*make_files(0, TRAIN, TEST), *make_files(1, TRAIN, TEST)]
    subjects = assign_subjects(ImageSet(files, ["a", "b"], []), ImportOptions())
    train, test = find_class_subjects(TRAIN, TEST)
    first_class = np.array(train + test)
    np.testing.assert_array_equal(subjects.numbers, [*first_class, *(first_class + 4)])


def test_assign_subjects_names_the_class_without() -> None:
    files = [*make_files(0, TRAIN, TEST), *make_files(1, TRAIN, ["x.jpg"])]
    with pytest.raises(NoSubjectsError, match=r"^b: x\.jpg"):
        assign_subjects(ImageSet(files, ["a", "b"], []), ImportOptions())


def test_assign_subjects_needs_a_test_folder() -> None:
    files = [make_file(name, f"c/{name}", "", 0) for name in TRAIN]
    with pytest.raises(NoSubjectsError, match="no test folder"):
        assign_subjects(ImageSet(files, ["c"], []), ImportOptions())


def test_number_ids_keeps_whole_numbers() -> None:
    assert number_ids(["7", "0", "123456789012345678"]).tolist() == [7, 0, 123456789012345678]


@pytest.mark.parametrize("id_", ["07", "-1", "x", "1234567890123456789"])
def test_number_ids_numbers_others_by_their_text(id_: str) -> None:
    ids = ["7", id_, "7"]
    assert number_ids(ids).tolist() == [sorted({*ids}).index(text) for text in ids]


NAMES = ["a/pat7_1.png", "b/pat7_2.png", "b/pat07.png"]
SUBJECTS = ["7", "7", "07"]


def test_match_subjects_takes_the_first_group() -> None:
    assert match_subjects(NAMES, r"pat(\d+)") == SUBJECTS


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "file,subject\na/pat7_1.png,7\nb/pat7_2.png,7\nb/pat07.png,07\n", id="two columns"
        ),
        pytest.param(
            "\ufefffile,subject\na/pat7_1.png,7\nb/pat7_2.png,7\nb/pat07.png,07\n", id="of Excel"
        ),
        pytest.param(
            "class,subject,file\nx,7,a/pat7_1.png\nx,7,b/pat7_2.png\nx,07,b/pat07.png\n",
            id="more columns",
        ),
        pytest.param(
            "file,subject\nz,1\nb/pat07.png,07\nb/pat7_2.png,7\na/pat7_1.png,7\n", id="more rows"
        ),
    ],
)
def test_subject_table_gives_each_file_its_id(tmp_path: Path, text: str) -> None:
    (tmp_path / "ids.csv").write_text(text, encoding="utf-8")
    assert read_subject_table(NAMES, tmp_path / "ids.csv") == SUBJECTS


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("pat(", "pat("), ("pat", "group"), (r"pat(\d)_", "1 of 3 files, such as b/pat07.png")],
)
def test_match_subjects_by_a_wrong_pattern_names_it(pattern: str, text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)):
        match_subjects(NAMES, pattern)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("x,y\na/pat7_1.png,7\n", "no column file"),
        ("file,x\na/pat7_1.png,7\n", "no column subject"),
        ("file,subject\na/pat7_1.png,7\nb/pat7_2.png\n", "line 3 has 1 cells"),
        ("file,subject\na/pat7_1.png,7\nb/pat7_2.png,\n", "2 of 3 files, such as b/pat7_2.png"),
        ("file,subject\na/pat7_1.png,7\nb/pat7_2.png,nan\n", "2 of 3 files, such as b/pat7_2.png"),
        ("file,subject\na/pat7_1.png,7\na/pat7_1.png,8\n", "1 files have two subjects"),
    ],
)
def test_subject_table_that_is_wrong_is_named(tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "ids.csv").write_text(content)
    with pytest.raises(InputError, match=rf"ids\.csv: .*{text}"):
        read_subject_table(NAMES, tmp_path / "ids.csv")


def test_subjects_of_the_real_slices_are_200(shared_slices: Path) -> None:
    image_set = list_images(shared_slices)
    subjects = assign_subjects(image_set, ImportOptions()).numbers
    test_mask = np.array([file.split == "test" for file in image_set.files])
    assert np.bincount(subjects[~test_mask]).tolist() == [20] * 200
    assert test_mask.sum() == 1121
    assert len(np.unique(subjects[test_mask])) == 200
