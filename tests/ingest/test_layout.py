"""The layouts of image sets: read as meant, or refused in one line with the options that help."""

import shlex
from collections import Counter
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest.image_folder import list_images
from mri_stages.ingest.image_set import ImageSet
from mri_stages.ingest.import_options import ImportOptions
from tests.helpers.image_sets import WRITERS, WriteSet, write_zip


def name_images(*folders: str, count: int = 2) -> list[str]:
    """Return the names of some images in each of the folders."""
    names = []
    for folder in folders:
        names += [f"{folder}/{number}.png" for number in range(count)]
    return names


def join_folders(*levels: str) -> list[str]:
    """Return the paths of all combinations: `join_folders("a b", "c d")` is a/c a/d b/c b/d."""
    return ["/".join(names) for names in product(*[level.split() for level in levels])]


def count_images(image_set: ImageSet) -> dict[str, int]:
    """Return the number of images by class."""
    return Counter(image_set.classes[file.label] for file in image_set.files)


def refuse(source: Path, **options: object) -> str:
    """Return the line with which listing the set ends."""
    with pytest.raises((InputError, ArgumentError)) as error:
        list_images(source, ImportOptions.model_validate(options))
    assert "\n" not in str(error.value)
    return str(error.value)


class Ambiguity(NamedTuple):
    """A set that is refused, an advice in the line, and the images by class that it leads to."""

    names: list[str]
    advice: str
    expected: dict[str, int]


BIOPSIES = join_folders("case1 case2 case3", "healthy tumour")
# Not all patients have both classes.
UNEVEN_BIOPSIES = [*BIOPSIES, "case4/healthy", "case5/healthy"]
STAINS = [f"{folder}/{stain}" for folder in ("benign", "malignant") for stain in ("ER", "PR")]
AMBIGUITIES = {
    "class that is called train": Ambiguity(
        name_images("bus", "car", "train"),
        "--class-level 1",
        {"bus": 2, "car": 2, "train": 2},
    ),
    "class in a folder that is called train": Ambiguity(
        name_images("vehicles/bus", "vehicles/train"),
        "--class-level 2",
        {"bus": 2, "train": 2},
    ),
    "test set by another name": Ambiguity(
        name_images(*join_folders("train", "a b"), *join_folders("Test_Set2", "a b")),
        "--exclude 'Test_Set2/*'",
        {"a": 2, "b": 2},
    ),
    "test images by another name": Ambiguity(
        name_images(*join_folders("train", "a b"), "Test_Set2"),
        "--exclude 'Test_Set2/*'",
        {"a": 2, "b": 2},
    ),
    "copy of the set inside it": Ambiguity(
        name_images("cat", "dog", *join_folders("pets", "cat dog")),
        "--exclude 'pets/*'",
        {"cat": 2, "dog": 2},
    ),
    "copy deeper, in other capitals": Ambiguity(
        name_images(*join_folders("all", "cat dog"), *join_folders("all/old/pets", "Cat Dog")),
        "--exclude 'all/old/*'",
        {"cat": 2, "dog": 2},
    ),
    "copy of one class inside another": Ambiguity(
        name_images("cat", "dog", "dog/Cat"),
        "--exclude 'dog/Cat/*'",
        {"cat": 2, "dog": 2},
    ),
    "class unpacked into itself": Ambiguity(
        name_images("cat", "cat/cat", "dog"),
        "--exclude 'cat/cat/*'",
        {"cat": 2, "dog": 2},
    ),
    "copy in both splits": Ambiguity(
        name_images(*join_folders("train test", "a b"), *join_folders("train test", "c", "a b")),
        "--exclude 'test/c/*' 'train/c/*'",
        {"a": 4, "b": 4},
    ),
    "patients above classes": Ambiguity(
        name_images(*BIOPSIES),
        "--class-level 2",
        {"healthy": 6, "tumour": 6},
    ),
    "patients of one class above classes": Ambiguity(
        name_images(*[f"scans/{path}" for path in UNEVEN_BIOPSIES]),
        "--class-level 3",
        {"healthy": 10, "tumour": 6},
    ),
    "patients above classes in splits": Ambiguity(
        name_images(
            *[f"train/{path}" for path in BIOPSIES], *join_folders("test", "p q", "healthy tumour")
        ),
        "--class-level 2",
        {"healthy": 10, "tumour": 10},
    ),
    "the upper level is the class": Ambiguity(
        name_images(*STAINS),
        "--class-level 1",
        {"benign": 4, "malignant": 4},
    ),
    "patients counted anew in each class": Ambiguity(
        name_images(*join_folders("a", "1 2 3"), *join_folders("b", "1 2 3 4 5")),
        "--class-level 1",
        {"a": 6, "b": 10},
    ),
    "half of the patients in two classes": Ambiguity(
        name_images(*join_folders("a", "1 2 3"), *join_folders("b", "2 3 4")),
        "--class-level 1",
        {"a": 6, "b": 6},
    ),
    "an enlarged copy": Ambiguity(
        name_images(*join_folders("enlarged original", "cat dog")),
        "--exclude 'enlarged/*'",
        {"cat": 2, "dog": 2},
    ),
    "folders of masks": Ambiguity(
        name_images(*join_folders("sick well", "pictures masks")),
        "--exclude '*/masks/*'",
        {"sick": 2, "well": 2},
    ),
    "masks of one class": Ambiguity(
        name_images("sick", "well", "sick/Lesion Masks"),
        "--exclude '*/Lesion Masks/*'",
        {"sick": 2, "well": 2},
    ),
    "two names of masks": Ambiguity(
        name_images(*join_folders("sick well", "scans"), "sick/segmentation", "well/annotations"),
        "--exclude '*/annotations/*' '*/segmentation/*'",
        {"sick": 2, "well": 2},
    ),
    "masks above the classes": Ambiguity(
        name_images(*join_folders("images masks", "sick well")),
        "--exclude 'masks/*'",
        {"sick": 2, "well": 2},
    ),
    "masks above the classes in splits": Ambiguity(
        name_images(*join_folders("train test", "images masks", "sick well")),
        "--exclude '*/masks/*'",
        {"sick": 4, "well": 4},
    ),
    "masks beside classes above splits": Ambiguity(
        name_images(*join_folders("masks sick well", "train test")),
        "--exclude 'masks/*'",
        {"sick": 4, "well": 4},
    ),
    "masks beside classes of a set above splits": Ambiguity(
        name_images(*join_folders("set", "masks sick well", "train test")),
        "--exclude '*/masks/*'",
        {"sick": 4, "well": 4},
    ),
    "masks beside their images": Ambiguity(
        [*name_images("sick", "well"), "sick/0_mask.png", "sick/0_mask_1.png", "well/1_mask.png"],
        "--exclude '*_mask.*' '*_mask_?.*'",
        {"sick": 2, "well": 2},
    ),
    "masks that are meant": Ambiguity(
        name_images(*join_folders("sick well", "pictures masks")),
        "--class-level 1",
        {"sick": 4, "well": 4},
    ),
    "two sets with splits": Ambiguity(
        name_images(*join_folders("v1 v2", "train test", "a b")),
        "--exclude 'v2/*'",
        {"a": 4, "b": 4},
    ),
    "one image beside the classes": Ambiguity(
        [*name_images("a", "b"), "overview[1].png"],
        "--exclude 'overview[[]1].png'",
        {"a": 2, "b": 2},
    ),
    "one image beside the folder of the set": Ambiguity(
        [*name_images("set/a", "set/b"), "logo.png"],
        "--exclude 'logo.png'",
        {"a": 2, "b": 2},
    ),
    "images in a split folder": Ambiguity(
        [*name_images(*join_folders("train test", "a b")), "train/9.png"],
        "--exclude 'train/9.png'",
        {"a": 4, "b": 4},
    ),
    "classes deeper in train than in test": Ambiguity(
        name_images(*join_folders("train/images", "a b"), *join_folders("test", "a b")),
        "--exclude 'test/a/*' 'test/b/*'",
        {"a": 2, "b": 2},
    ),
    "a set of another task inside": Ambiguity(
        name_images("yes", "no", *join_folders("detection", "TRAIN TEST")),
        "--exclude 'detection/*'",
        {"no": 2, "yes": 2},
    ),
    "test images by patient": Ambiguity(
        name_images(*join_folders("train", "a b"), *join_folders("test", "p1 p2")),
        "--exclude 'test/*'",
        {"a": 2, "b": 2},
    ),
    "a class called test": Ambiguity(
        name_images("control", "test"),
        "--class-level 1",
        {"control": 2, "test": 2},
    ),
    "splits below classes and above patients": Ambiguity(
        name_images(*join_folders("a b", "train", "p1 p2"), *join_folders("a b", "test", "p3 p4")),
        "--class-level",
        {},
    ),
}  # fmt: skip


@WRITERS
@pytest.mark.parametrize("case", AMBIGUITIES)
def test_list_images_refuses_an_ambiguity(tmp_path: Path, write_set: WriteSet, case: str) -> None:
    source = write_set(tmp_path, AMBIGUITIES[case].names)
    line = refuse(source)
    assert AMBIGUITIES[case].advice in line
    assert str(source) in line


@pytest.mark.parametrize("case", [name for name, case in AMBIGUITIES.items() if case.expected])
def test_list_images_takes_what_it_advised(tmp_path: Path, case: str) -> None:
    names, advice, expected = AMBIGUITIES[case]
    option, *values = shlex.split(advice)
    options = ImportOptions(exclude=tuple(values))
    if option == "--class-level":
        options = ImportOptions(class_level=int(values[0]))
    assert count_images(list_images(write_zip(tmp_path, names), options)) == expected


CLEAR_LAYOUTS = {
    "names of masks as classes": (
        name_images("with_mask", "without_mask", "mask"),
        {"with_mask": 2, "without_mask": 2, "mask": 2},
    ),
    "one folder in each class": (
        name_images(*join_folders("a b", "images")),
        {"a": 2, "b": 2},
    ),
    "patients below the class": (
        name_images("a/p1", "a/p2", "b/p3", "b/p4"),
        {"a": 4, "b": 4},
    ),
    "fewer than half of the patients in two classes": (
        name_images(*join_folders("a", "p1 p2 p3 p4"), *join_folders("b", "p3 p4 p5")),
        {"a": 8, "b": 6},
    ),
    "each class in itself": (
        name_images("a/a", "b/b"),
        {"a": 2, "b": 2},
    ),
    "splits in themselves": (
        name_images(*join_folders("train", "train", "a b"), *join_folders("test", "test", "a b")),
        {"a": 4, "b": 4},
    ),
    "splits below the classes": (
        name_images(*join_folders("set", "a b", "Train Test")),
        {"a": 4, "b": 4},
    ),
    "the name of a mask in another folder": (
        ["a/p1/0.png", "a/p2/0_mask.png", *name_images("b/p3", "b/p4")],
        {"a": 2, "b": 4},
    ),
    "a folder beside splits below a class": (
        name_images(*join_folders("a b", "train test"), "a/old/scans"),
        {"a": 4, "b": 4},
    ),
    "other folders and images beside train": (
        [
            *name_images(*join_folders("set/train", "a b"), "set/extra", "other/evaluation"),
            "set/test_overview.png",
        ],
        {"a": 2, "b": 2},
    ),
    "names that differ in a sign": (
        name_images("A+", "A-", "B+"),
        {"A+": 2, "A-": 2, "B+": 2},
    ),
    "test images without a folder": (
        name_images(*join_folders("train", "a b"), "test"),
        {"a": 2, "b": 2},
    ),
    "test images in a folder without meaning": (
        name_images(*join_folders("train", "a b"), "test/Test"),
        {"a": 2, "b": 2},
    ),
    "test images in a folder of images": (
        name_images(*join_folders("train", "a b"), "test/images"),
        {"a": 2, "b": 2},
    ),
    "validation images without a folder": (
        name_images(*join_folders("train test", "a b"), "val"),
        {"a": 4, "b": 4},
    ),
    "a copy beside the splits": (
        name_images(*join_folders("set set/set", "train test", "a b")),
        {"a": 4, "b": 4},
    ),
}  # fmt: skip


@WRITERS
@pytest.mark.parametrize("case", CLEAR_LAYOUTS)
def test_list_images_takes_a_clear_layout(tmp_path: Path, write_set: WriteSet, case: str) -> None:
    names, expected = CLEAR_LAYOUTS[case]
    assert count_images(list_images(write_set(tmp_path, names))) == expected


def note(tmp_path: Path, names: list[str], **options: object) -> str:
    """Return the notes on a set, joined."""
    image_set = list_images(write_zip(tmp_path, names), ImportOptions.model_validate(options))
    return "\n".join(image_set.notes)


def test_list_images_of_unlabelled_test_images_has_no_split(tmp_path: Path) -> None:
    names = name_images(*join_folders("train", "a b"), "test")
    assert {file.split for file in list_images(write_zip(tmp_path, names)).files} == {""}


@pytest.mark.parametrize("split", ["test", "val"])
def test_list_images_notes_unlabelled_images(tmp_path: Path, split: str) -> None:
    assert f"2 images of {split} " in note(tmp_path, name_images("train/a", "train/b", split))


def test_list_images_tests_on_validation_beside_unlabelled(tmp_path: Path) -> None:
    names = name_images(*join_folders("train val", "a b"), "test")
    splits = Counter(file.split for file in list_images(write_zip(tmp_path, names)).files)
    assert splits == {"train": 4, "test": 4}


def test_list_images_joins_spellings_of_train_and_test(tmp_path: Path) -> None:
    names = name_images("train/no_tumor", "train/Glioma", "test/No Tumor", "test/glioma")
    image_set = list_images(write_zip(tmp_path, names))
    assert image_set.classes == ["Glioma", "no_tumor"]
    assert "No Tumor and no_tumor" in "".join(image_set.notes)


@pytest.mark.parametrize("other_name", ["Low Grade", "low-grade", "LOW_GRADE"])
def test_list_images_refuses_two_spellings_in_one_split(tmp_path: Path, other_name: str) -> None:
    line = refuse(write_zip(tmp_path, name_images("low grade", other_name, "high grade")))
    assert repr(other_name) in line
    assert "'low grade'" in line


def test_list_images_keeps_splits_below_classes(tmp_path: Path) -> None:
    names = name_images(*join_folders("a b", "train test val"))
    for file in list_images(write_zip(tmp_path, names)).files:
        assert file.split == ("test" if "/test/" in file.name else "train")


def test_list_images_counts_levels_without_the_split(tmp_path: Path) -> None:
    names = name_images(*join_folders("a b", "train test", "p1 p2"))
    options = ImportOptions(class_level=1, subject_level=2)
    image_set = list_images(write_zip(tmp_path, names), options)
    assert {(image_set.classes[file.label], file.subject) for file in image_set.files} == {
        ("a", "p1"), ("a", "p2"), ("b", "p1"), ("b", "p2"),
    }  # fmt: skip


@pytest.mark.parametrize("split", ["", "train/"])
@pytest.mark.parametrize("options", [(2, 1), (1, 2)])
def test_list_images_takes_subjects_of_a_level(
    tmp_path: Path, split: str, options: tuple[int, int]
) -> None:
    names = name_images(*[f"{split}{path}" for path in BIOPSIES])
    class_level, subject_level = options
    image_set = list_images(
        write_zip(tmp_path, names),
        ImportOptions(class_level=class_level, subject_level=subject_level),
    )
    for file in image_set.files:
        folders = file.name.removeprefix(split).split("/")
        assert image_set.classes[file.label] == folders[class_level - 1]
        assert file.subject == folders[subject_level - 1]


def test_list_images_counts_levels_below_the_source(tmp_path: Path) -> None:
    names = name_images(*join_folders("archive", "set", "a b"))
    assert count_images(list_images(write_zip(tmp_path, names), ImportOptions(class_level=3)))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"class_level": 3}, "--class-level 3"),
        ({"class_level": 1, "subject_level": 3}, "--subject-level 3"),
        ({"class_level": 1, "subject_level": 1}, "--subject-level 1"),
        ({"exclude": ["masks"]}, "--exclude masks"),
    ],
)
def test_list_images_of_a_wrong_option_names_it(
    tmp_path: Path, options: dict[str, object], text: str
) -> None:
    assert text in refuse(write_zip(tmp_path, name_images(*BIOPSIES)), **options)


def test_list_images_notes_counts_of_splits_and_classes(tmp_path: Path) -> None:
    notes = note(
        tmp_path, [*name_images("train/a", "train/b", "test/a", "test/b"), "train/b/9.png"]
    )
    assert "test 4, train 5" in notes
    assert "a 4, b 5" in notes


def test_list_images_notes_a_level_that_is_not_used(tmp_path: Path) -> None:
    names = name_images("a/p1", "a/p2", "b/p3", "b/p4")
    assert "4 folders p1, p2, p3, p4; --subject-level 2" in note(tmp_path, names)
    assert "not used" not in note(tmp_path, names, subject_level=2)
    upper_note = note(tmp_path, name_images(*BIOPSIES), class_level=2)
    assert "3 folders case1, case2, case3; --subject-level 1" in upper_note


def test_list_images_notes_no_level_that_divides_no_class(tmp_path: Path) -> None:
    assert "not used" not in note(tmp_path, name_images("a/a", "b/b"))


def test_list_images_notes_subjects_of_two_classes(tmp_path: Path) -> None:
    names = name_images("a/1", "a/2", "b/2", "b/3")
    assert "1 subjects have" in note(tmp_path, names, class_level=1, subject_level=2)


@pytest.mark.parametrize(
    ("names", "class_level", "subject_level"),
    [
        (name_images("a/1", "a/2", "b/3"), 1, 2),
        (name_images(*BIOPSIES), 2, 1),  # a folder above the classes is one subject
    ],
)
def test_list_images_notes_no_subject_that_is_clear(
    tmp_path: Path, names: list[str], class_level: int, subject_level: int
) -> None:
    options = {"class_level": class_level, "subject_level": subject_level}
    assert "subjects have" not in note(tmp_path, names, **options)


def test_list_images_notes_masks_that_are_meant(tmp_path: Path) -> None:
    names = [*name_images(*join_folders("a b", "masks")), "a/masks/0_mask.png"]
    notes = f"\n{note(tmp_path, names, class_level=1)}"
    assert "\n5 images lie in folders 'masks'" in notes
    assert "\n1 names" in notes


def test_list_images_notes_a_copy_beside_the_splits(tmp_path: Path) -> None:
    names = name_images(*join_folders("train test", "a b"), *join_folders("old", "train", "a b"))
    assert "4 images beside the split folders" in note(tmp_path, names)


def test_list_images_names_the_copy_inside_a_class(tmp_path: Path) -> None:
    line = refuse(write_zip(tmp_path, name_images("cat", "dog", "dog/Cat")))
    assert "'dog' holds 'Cat', 2 of 6 images" in line


def test_list_images_refuses_test_images_of_one_class(tmp_path: Path) -> None:
    line = refuse(write_zip(tmp_path, name_images(*join_folders("train", "a b"), "test/a")))
    assert "in train only: b" in line
    assert "--exclude" not in line  # these images have a class


def test_list_images_of_one_folder_names_a_table(tmp_path: Path) -> None:
    source = write_zip(tmp_path, name_images("set/pictures"), ["set/labels.CSV"])
    assert "--table FILE.csv, such as 'set/labels.CSV'" in refuse(source)


def test_list_images_shows_odd_names_on_one_line(tmp_path: Path) -> None:
    notes = list_images(write_zip(tmp_path, name_images("a\nb", "c"))).notes
    assert not any("\n" in line for line in notes)
