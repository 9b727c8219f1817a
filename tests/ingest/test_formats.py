"""Which files of a set are images, and what opening one gives."""

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest.file_tree import list_files
from mri_stages.ingest.format_checks import (
    check_opened_files,
    describe_identity,
    describe_pictures,
    describe_unused_options,
    list_subject_warnings,
)
from mri_stages.ingest.formats import (
    Format,
    find_format,
    list_data_files,
    open_pictures,
    select_images,
)
from mri_stages.ingest.image_file import PillowPicture
from mri_stages.ingest.image_set import ImageError, ImageFile
from mri_stages.ingest.import_options import ImportOptions, PixelOptions
from tests.helpers.medical_files import DICOM_FOLDER, WINDOW, write_dicom, write_volume

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
SLICES = ImportOptions(slices="1:3")


def open_files(folder: Path, options: ImportOptions | None = None) -> list[ImageFile]:
    """Return the images of a folder of classes, as an import opens them."""
    files = []
    tree = list_files(folder)
    classes = sorted({parts[0] for parts in tree})
    for parts in select_images(tree):
        label = classes.index(parts[0])
        for opened in open_pictures(tree[parts], "/".join(parts), options or SLICES):
            picture, name, subject = opened.picture, opened.name, opened.subject
            is_private = opened.is_subject_private
            files.append(ImageFile(picture, name, "", label, subject, is_private))
    return files


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1.png", Format.PILLOW),
        ("1.JPG", Format.PILLOW),
        ("1.dcm", Format.DICOM),
        ("1.IMA", Format.DICOM),
        ("1.nii", Format.VOLUME),
        ("1.NII.GZ", Format.VOLUME),
        ("1.hdr", Format.VOLUME),
        ("1.img", Format.VOLUME),
        ("1.gz", Format.OTHER),
        ("1", Format.OTHER),
        ("notes.csv", Format.OTHER),
    ],
)
def test_format_is_told_by_the_suffix(tmp_path: Path, name: str, expected: Format) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    assert find_format(path, name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IM000001", Format.DICOM),
        ("1.2.840.10008", Format.DICOM),
        ("1.csv", Format.OTHER),
        ("DICOMDIR", Format.OTHER),
    ],
)
def test_format_of_unknown_suffixes_is_in_the_bytes(
    tmp_path: Path, name: str, expected: Format
) -> None:
    path = write_dicom(tmp_path / name)
    assert find_format(path, name) is expected


def test_index_of_another_name_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "DICOMDIR.bak"
    path.write_bytes((DICOM_FOLDER / "dicomdirtests" / "DICOMDIR").read_bytes())
    assert find_format(path, path.name) is Format.OTHER


def test_missing_file_is_no_dicom(tmp_path: Path) -> None:
    assert find_format(tmp_path / "missing", "missing") is Format.OTHER


def test_images_are_those_of_all_formats(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "1.png")
    write_dicom(tmp_path / "2")
    write_volume(tmp_path / "3.hdr", VOXELS)
    write_volume(tmp_path / "4.nii.gz", VOXELS)
    (tmp_path / "5.txt").write_text("notes")
    (tmp_path / ".6.png").write_bytes(b"")
    tree = list_files(tmp_path)
    assert select_images(tree) == [("1.png",), ("2",), ("3.hdr",), ("4.nii.gz",)]
    assert list_data_files(tree) == {("3.img",)}


def test_data_file_alone_is_an_image_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "1.img").write_bytes(b"")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.hdr").write_bytes(b"")
    assert select_images(list_files(tmp_path)) == [("1.img",), ("a", "1.hdr")]


def test_volume_gives_its_slices_and_subject(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii.gz", VOXELS)
    opened = open_pictures(path, "a/s1.nii.gz", SLICES)
    assert [item.name for item in opened] == ["a/s1.nii.gz:1", "a/s1.nii.gz:2"]
    assert {item.subject for item in opened} == {"a/s1"}
    assert not opened[0].is_subject_private


def test_dicom_gives_its_private_id(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "1.dcm", elements=WINDOW)
    (opened,) = open_pictures(path, "a/1.dcm", SLICES)
    assert (opened.name, opened.subject, opened.is_subject_private) == ("a/1.dcm", "P1", True)


@pytest.mark.parametrize("name", ["1.dcm", "1.nii", "1.hdr", "1.png"])
def test_faulty_file_raises_when_it_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"no image")
    (opened,) = open_pictures(path, name, SLICES)
    with pytest.raises(ImageError):
        opened.picture.read(Counter())


def test_volume_without_the_option_is_refused(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    with pytest.raises(ArgumentError, match="--slices"):
        open_pictures(path, "1.nii", PixelOptions())


def test_faults_are_counted_by_kind(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a" / "1.dcm")
    write_dicom(tmp_path / "a" / "2.dcm")
    write_dicom(tmp_path / "b" / "3.dcm", elements={**WINDOW, "NumberOfFrames": 2})
    with pytest.raises(InputError, match=r"of 3 images, 2 without a window.*; 1 of several frames"):
        check_opened_files(tmp_path, open_files(tmp_path), SLICES)


@pytest.mark.parametrize("option", [{}, {"subject_pattern": "(.+)"}, {"subjects": Path("ids.csv")}])
def test_missing_patient_id_needs_an_option(tmp_path: Path, option: dict[str, object]) -> None:
    write_dicom(tmp_path / "a" / "1.dcm", elements={**WINDOW, "PatientID": " "})
    write_dicom(tmp_path / "b" / "2.dcm", elements=WINDOW)
    files = open_files(tmp_path)
    options = ImportOptions.model_validate(option)
    if option:
        check_opened_files(tmp_path, files, options)
        return
    with pytest.raises(InputError, match=r"1 of 2 DICOM files have no PatientID.*a/1\.dcm"):
        check_opened_files(tmp_path, files, options)


def test_different_windows_are_counted(tmp_path: Path) -> None:
    for index, width in enumerate([400, 400, 100]):
        elements = {"WindowCenter": 40, "WindowWidth": width}
        write_dicom(tmp_path / "a" / f"{index}.dcm", elements=elements)
    pictures = [file.picture for file in open_files(tmp_path)]
    (note,) = describe_pictures(pictures, SLICES)
    assert "2 different windows in 3 DICOM files" in note
    assert "40 400 (2 files)" in note
    assert describe_pictures(pictures[:2], SLICES) == []


def test_window_of_all_files_is_told(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a" / "1.dcm")
    options = ImportOptions(window=(40, 80))
    pictures = [file.picture for file in open_files(tmp_path, options)]
    (note,) = describe_pictures(pictures, options)
    assert "40 80" in note


def test_assumed_orientation_is_told_per_volume(tmp_path: Path) -> None:
    write_volume(tmp_path / "a" / "1.hdr", VOXELS)
    write_volume(tmp_path / "a" / "2.nii", VOXELS)
    (note,) = describe_pictures([file.picture for file in open_files(tmp_path)], SLICES)
    assert note.startswith("1 volumes")


def test_other_order_of_axes_is_told(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "a" / "1.hdr", VOXELS)
    data = bytearray(path.read_bytes())
    data[252] = 1
    path.write_bytes(data)
    notes = describe_pictures([file.picture for file in open_files(tmp_path)], SLICES)
    assert len(notes) == 2


def test_identity_is_told_of_dicom_only(tmp_path: Path) -> None:
    write_volume(tmp_path / "a" / "1.hdr", VOXELS)
    assert describe_identity(open_files(tmp_path)) == []
    write_dicom(tmp_path / "a" / "1.dcm", elements=WINDOW)
    assert len(describe_identity(open_files(tmp_path))) == 1


def test_one_id_in_two_classes_is_a_warning(tmp_path: Path) -> None:
    for name, subject in {"a/1": "X", "a/2": "X", "b/3": "X", "c/4": "Y"}.items():
        write_dicom(tmp_path / f"{name}.dcm", elements={**WINDOW, "PatientID": subject})
    (warning,) = list_subject_warnings(open_files(tmp_path), ["a", "b", "c"])
    assert "classes a, b;" in warning
    assert "X" not in warning


def test_ids_of_few_files_are_no_warning(tmp_path: Path) -> None:
    for name, subject in {"a/1": "X", "a/2": "Y", "b/3": "X", "b/4": "Z"}.items():
        write_dicom(tmp_path / f"{name}.dcm", elements={**WINDOW, "PatientID": subject})
    assert list_subject_warnings(open_files(tmp_path), ["a", "b"]) == []


def test_one_id_in_one_class_is_no_warning(tmp_path: Path) -> None:
    for name, subject in {"a/1": "X", "a/2": "X", "b/3": "Y"}.items():
        write_dicom(tmp_path / f"{name}.dcm", elements={**WINDOW, "PatientID": subject})
    assert list_subject_warnings(open_files(tmp_path), ["a", "b"]) == []


def test_messages_hold_no_patient_id() -> None:
    for path in DICOM_FOLDER.glob("*.dcm"):
        for opened in open_pictures(path, path.name, PixelOptions()):
            try:
                opened.picture.read(Counter())
            except ImageError as error:
                text = str(error.reason)
                assert not opened.subject or opened.subject not in text


def test_options_that_change_no_image_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a" / "1.dcm"
    write_dicom(path, elements=WINDOW)
    options = ImportOptions(percentiles=(0, 100), slices="0:1")
    dicom_pictures = [file.picture for file in open_files(tmp_path, options)]
    assert [note[:8] for note in describe_unused_options(dicom_pictures, options)] == ["--slices"]
    notes = describe_unused_options([PillowPicture(path)], options)
    assert [note[:8] for note in notes] == ["--slices", "--percen"]


def test_faulty_files_are_not_held_in_memory(tmp_path: Path) -> None:
    """The frames of an error hold the bytes of the file, and a set may have many such files."""
    pixels = np.zeros((512, 1024), np.int16)  # 1 MiB
    path = write_dicom(tmp_path / "1.dcm", pixels, {"NumberOfFrames": 2})
    tracemalloc.start()
    opened = [open_pictures(path, f"{number}.dcm", PixelOptions()) for number in range(5)]
    n_held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(opened) == 5
    assert n_held_bytes < pixels.nbytes
