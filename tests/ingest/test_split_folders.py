"""Which folders tell the split of an image, by the names alone."""

import re
from pathlib import Path

import pytest

from mri_stages.errors import InputError
from mri_stages.ingest.file_tree import Parts
from mri_stages.ingest.split_folders import (
    Place,
    assign_splits,
    check_train_folder,
    describe_outside_images,
    find_split_roots,
    is_train_a_class,
    place_images,
)

SOURCE = Path("set.zip")


def split_names(names: str) -> list[Parts]:
    """Return the parts of names with spaces between."""
    return [tuple(name.split("/")) for name in names.split()]


def place(names: str) -> dict[Parts, Place]:
    _, places = place_images(split_names(names), has_class_level=False, source=SOURCE)
    return places


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("train/1.png car/1.png", True),
        ("train/1.png car/red/1.png", True),
        ("train/1.png", False),
        ("train/1.png logo.png", False),
        ("train/1.png test/1.png", False),
        ("train/a/1.png car/1.png", False),
        ("set/train/1.png set/car/1.png old/car/1.png", True),
        ("set/train/1.png old/car/1.png", False),
        ("a/train/1.png a/car/1.png b/train/1.png", False),
    ],
)
def test_train_is_a_class_beside_folders_of_other_names(names: str, expected: bool) -> None:
    images = split_names(names)
    assert is_train_a_class(images, find_split_roots(images)) is expected


@pytest.mark.parametrize(
    ("names", "is_advised"),
    [
        ("set/train/1.png other/1.png", True),
        ("set/train/1.png set/test/1.png", False),
        ("train/1.png other/1.png", False),
    ],
)
def test_train_without_classes_may_be_one_set_of_several(names: str, is_advised: bool) -> None:
    """To leave out all images is no advice."""
    with pytest.raises(InputError) as error:
        check_train_folder(split_names(names), place(names), SOURCE)
    assert ("--exclude" in str(error.value)) is is_advised


@pytest.mark.parametrize(("with_test", "split"), [("", "test"), (" test/a/4.png", "train")])
def test_validation_images_are_counted(with_test: str, split: str) -> None:
    places, (note,) = assign_splits(place(f"train/a/1.png train/a/2.png val/a/3.png{with_test}"))
    assert places[("val", "a", "3.png")].split == split
    assert re.findall(r"\d+", note) == ["1"]


def test_images_outside_the_splits_are_counted() -> None:
    names = "train/a/1.png train/b/1.png test/a/2.png old/a/4.png old/3.png"
    (note,) = describe_outside_images(split_names(names), place(names))
    assert note.startswith("2 images")
    assert "old/3.png" in note
