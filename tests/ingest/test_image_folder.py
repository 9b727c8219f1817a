"""Sets of images in folders and zips of all kinds: listed by class, or refused in one line."""

import stat
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mri_stages.errors import InputError
from mri_stages.ingest.image_folder import list_images
from mri_stages.ingest.image_set import ImageSet
from mri_stages.ingest.import_options import ImportOptions
from tests.helpers.image_sets import FILES, WRITERS, WriteSet, write_folder, write_zip
from tests.helpers.images import GREY, PNG, flip_bit
from tests.helpers.medical_files import WINDOW, write_dicom

# Of class a, then of class b.
SORTED_FILES = [
    "test/a/0.png", "test/a/1.png", "train/a/0.png", "train/a/1.png",
    "test/b/0.png", "test/b/1.png", "train/b/0.png", "train/b/1.png",
]  # fmt: skip


def list_names(image_set: ImageSet) -> list[str]:
    return [file.name for file in image_set.files]


def read_all_images(source: Path) -> None:
    for file in list_images(source).files:
        file.picture.read(Counter())


def refuse(source: Path) -> str:
    """Return the line with which listing the set, or reading its images, ends."""
    with pytest.raises((InputError, OSError)) as error:
        read_all_images(source)
    assert str(source) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


@WRITERS
def test_list_images_sorts_by_class_then_name(tmp_path: Path, write_set: WriteSet) -> None:
    assert list_names(list_images(write_set(tmp_path, reversed(FILES)))) == SORTED_FILES


@WRITERS
def test_list_images_gives_paths_to_read(tmp_path: Path, write_set: WriteSet) -> None:
    file = list_images(write_set(tmp_path)).files[0]
    np.testing.assert_array_equal(file.picture.read(Counter()), np.stack([GREY] * 3))


@WRITERS
def test_list_images_names_split_and_label(tmp_path: Path, write_set: WriteSet) -> None:
    image_set = list_images(write_set(tmp_path))
    assert image_set.classes == ["a", "b"]
    for file in image_set.files:
        split, class_name, _ = file.name.split("/")
        assert (split, class_name) == (file.split, image_set.classes[file.label])


@WRITERS
@pytest.mark.parametrize("top", ["Some Dataset/", "archive/Set of images/"])
def test_list_images_finds_splits_inside_folders(
    tmp_path: Path, write_set: WriteSet, top: str
) -> None:
    image_set = list_images(write_set(tmp_path, [top + name for name in FILES]))
    assert list_names(image_set) == [top + name for name in SORTED_FILES]


def test_list_images_prefers_the_uppermost_train(tmp_path: Path) -> None:
    names = [*FILES, "train/a/train/0.png"]
    image_set = list_images(write_zip(tmp_path, names))
    assert "train/a/train/0.png" in list_names(image_set)
    assert len(image_set.files) == len(names)


def test_list_images_leaves_out_other_files(tmp_path: Path) -> None:
    junk = [
        "__MACOSX/train/a/._0.png", "train/a/Thumbs.db", "train/.DS_Store", "test/.old/0.png",
        "test/b/readme.txt", "old.zip",
    ]  # fmt: skip
    image_set = list_images(write_zip(tmp_path, [*FILES, "masks/a/0.png"], junk))
    assert list_names(image_set) == SORTED_FILES
    counts = [note.split()[0] for note in image_set.notes if "left out" in note]
    assert counts == ["1", "6"]


def test_list_images_without_other_files_leaves_none_out(tmp_path: Path) -> None:
    assert "left out" not in "".join(list_images(write_zip(tmp_path)).notes)


def test_list_images_joins_spellings_of_one_class(tmp_path: Path) -> None:
    # One letter, and a letter with a combining accent.
    names = [*FILES, "train/\u0107/0.png", "test/c\u0301/0.png"]
    assert list_images(write_zip(tmp_path, names)).classes == ["a", "b", "\u0107"]


def test_list_images_takes_deeper_files_and_capitals(tmp_path: Path) -> None:
    names = ["train/a/9.PNG", "train/a/deeper/0.png"]
    assert set(names) < set(list_names(list_images(write_zip(tmp_path, FILES + names))))


def test_list_images_does_not_follow_circles(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "again").symlink_to(folder)
    for name, target in (("p", "q"), ("q", "p")):
        (folder / name).mkdir()
        (folder / name / "link").symlink_to(folder / target)
    assert list_names(list_images(folder)) == SORTED_FILES


def test_list_images_follows_a_linked_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    moved = (folder / "train/a").rename(tmp_path / "elsewhere")
    (folder / "train/a").symlink_to(moved)
    assert list_names(list_images(folder)) == SORTED_FILES


def test_list_images_of_a_broken_link_names_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "train/a/9.png").symlink_to("gone.png")
    assert "9.png: unreadable" in refuse(folder)


def list_splits(folder: Path, names: list[str]) -> dict[str, str]:
    return {file.name: file.split for file in list_images(write_zip(folder, names)).files}


def name_images(*folders: str) -> list[str]:
    """Return an image of class a and one of class b in each of the folders."""
    return [f"{folder}/{label}/0.png".lstrip("/") for folder in folders for label in "ab"]


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
@pytest.mark.parametrize("test", ["test", "testing", "Test"])
def test_list_images_takes_spellings_of_splits(tmp_path: Path, train: str, test: str) -> None:
    names = name_images(train, test)
    splits = list_splits(tmp_path, names)
    assert {splits[name] for name in names[:2]} == {"train"}
    assert {splits[name] for name in names[2:]} == {"test"}


@pytest.mark.parametrize("folder", ["val", "Valid", "validation"])
def test_list_images_tests_on_validation_images(tmp_path: Path, folder: str) -> None:
    names = name_images("train", folder)
    splits = list_splits(tmp_path, names)
    assert [splits[name] for name in names] == ["train"] * 2 + ["test"] * 2


def test_list_images_trains_on_validation_beside_test(tmp_path: Path) -> None:
    names = name_images("train", "test", "val")
    splits = list_splits(tmp_path, names)
    assert [splits[name] for name in names] == ["train"] * 2 + ["test"] * 2 + ["train"] * 2


@pytest.mark.parametrize(
    ("folders", "note"),
    [
        (["train", "val"], "2 images for validation are in test"),
        (["train", "test", "val"], "2 images for validation are in train"),
    ],
)
def test_list_images_notes_validation_images(tmp_path: Path, folders: list[str], note: str) -> None:
    names = name_images(*folders)
    assert note in "".join(list_images(write_zip(tmp_path, names)).notes)


@pytest.mark.parametrize("folder", ["", "train", "set", "set/inside"])
def test_list_images_of_class_folders_has_no_split(tmp_path: Path, folder: str) -> None:
    names = name_images(folder)
    assert list_splits(tmp_path, names) == dict.fromkeys(names, "")


def test_list_images_of_train_alone_leaves_the_rest_out(tmp_path: Path) -> None:
    names = name_images("pictures", "train")
    assert list_splits(tmp_path, names) == dict.fromkeys(names[2:], "")


@pytest.mark.parametrize("prefix", ["./", "/", ""])
@pytest.mark.parametrize("separator", ["/", "\\"])
def test_list_images_takes_names_of_other_programs(
    tmp_path: Path, prefix: str, separator: str
) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("train/", "train/a/", *FILES):
            info = zipfile.ZipInfo()
            info.filename = (prefix + name).replace("/", separator)
            archive.writestr(info, PNG if name in FILES else b"")
    assert sorted(list_names(list_images(tmp_path / "set.zip"))) == sorted(FILES)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([*FILES, "train/9.png"], "train/9.png"),
        ([*FILES, "test/A/9.png"], "'A', 'a'"),
        ([name for name in FILES if "train/a" not in name], "only: a"),
        ([name for name in FILES if "/b/" not in name], "1 classes"),
        (["0.png"], "--table"),
        ([f"seg_{name}" for name in FILES], "seg_test, seg_train"),
        (["a/0.txt"], "no image in 1 file,"),
        ([], "no image in 0 files"),
    ],
)
def test_list_images_of_another_layout_names_it(
    tmp_path: Path, names: list[str], text: str
) -> None:
    assert text in refuse(write_zip(tmp_path, names))


def test_list_images_of_a_missing_zip_names_it(tmp_path: Path) -> None:
    refuse(tmp_path / "gone.zip")


def damage_encrypted(data: bytes) -> bytes:
    return flip_bit(data, data.index(b"PK\x01\x02") + 8)


def damage_unused_byte(data: bytes) -> bytes:
    """Change a byte that no decoder of images reads, but that the zip has a checksum of."""
    return flip_bit(data, data.index(b"IEND") + 10)


@pytest.mark.parametrize(
    "damage",
    [damage_encrypted, damage_unused_byte, lambda data: data[:-100], lambda data: b"not a zip"],
)
def test_list_images_of_a_damaged_zip_names_it(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = write_zip(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    refuse(path)


def test_list_images_of_names_not_in_utf_8(tmp_path: Path) -> None:
    path = write_zip(tmp_path, [*FILES, "train/a/\u00e9.png"])
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xff"))
    refuse(path)


def test_list_images_follows_no_link_in_a_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path)
    link = zipfile.ZipInfo("train/b/9.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "../../../secret.png")
    assert "train/b/9.png: unreadable" in refuse(path)


def test_list_images_leaves_out_a_member_without_a_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(".", b"x")
    assert list_names(list_images(path)) == SORTED_FILES


@pytest.mark.parametrize("subject_level", [None, 2])
def test_list_images_takes_ids_of_dicom_for_private(
    tmp_path: Path, subject_level: int | None
) -> None:
    """The name of a folder, which a user names as the subject, is none that is kept away."""
    for name in ("a/x/1.dcm", "a/y/2.dcm", "b/z/3.dcm"):
        write_dicom(tmp_path / "set" / name, elements=WINDOW)
    options = ImportOptions(class_level=1, subject_level=subject_level)
    files = list_images(tmp_path / "set", options).files
    expected = ["P1", "P1", "P1"] if subject_level is None else ["x", "y", "z"]
    assert [file.subject for file in files] == expected
    assert {file.is_subject_private for file in files} == {subject_level is None}
