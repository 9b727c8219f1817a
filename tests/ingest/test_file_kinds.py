"""A property of the files that tells their class is a warning of the import, a few odd are none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from mri_stages.commands import import_images
from mri_stages.ingest.dicom_file import read_dicom
from mri_stages.ingest.file_kinds import Kind, Property
from mri_stages.ingest.import_options import PixelOptions
from tests.helpers.images import COLOUR, GREY, encode_image
from tests.helpers.medical_files import WINDOW, encode_dicom, write_volume

GREY_PNG = encode_image(GREY)
COLOUR_PNG = encode_image(COLOUR)
EQUAL_CHANNELS_PNG = encode_image(np.stack([GREY] * 3, axis=2))
GREY_JPEG = encode_image(GREY, "jpeg")
WIDE_PNG = encode_image(GREY.astype(np.uint16) * 257)
BLACK_AND_WHITE_PNG = encode_image(GREY > 100)
LARGE_PNG = encode_image(np.tile(GREY, (2, 2)))
RESIZE = ("--resize", "8", "6")
Images = Mapping[str, Sequence[bytes]]  # by class


@pytest.fixture(autouse=True)
def _outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a params.yaml an import has no warnings about models."""
    monkeypatch.chdir(tmp_path)


def write_images(images: Images, suffix: str = ".png") -> Path:
    """Write the images of each class into its folder."""
    for name, contents in images.items():
        folder = Path("set", name)
        folder.mkdir(parents=True)
        for number, content in enumerate(contents):
            (folder / f"{number}{suffix}").write_bytes(content)
    return Path("set")


def import_set(capsys: pytest.CaptureFixture[str], source: Path, *arguments: str) -> list[str]:
    """Import a set; return the warnings."""
    import_images.main([str(source), "--test-share", "0.5", *arguments])
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning:")]


@pytest.mark.parametrize(
    ("images", "values"),
    [
        ((GREY_PNG, COLOUR_PNG), ("grey", "colour")),
        ((GREY_PNG, WIDE_PNG), ("8 bits", "16 bits")),
        ((GREY_PNG, BLACK_AND_WHITE_PNG), ("8 bits", "1 bit")),
        ((GREY_PNG, GREY_JPEG), ("PNG", "JPEG")),
        ((GREY_PNG, LARGE_PNG), ("8 x 6", "16 x 12")),
    ],
)
def test_property_that_tells_the_class_is_one_warning(
    capsys: pytest.CaptureFixture[str], images: tuple[bytes, bytes], values: tuple[str, str]
) -> None:
    source = write_images({"ill": [images[0]] * 6, "sane": [images[1]] * 8})
    (warning,) = import_set(capsys, source, *RESIZE)
    assert f"{values[0]} in 6 of 6 images of ill" in warning
    assert f"{values[1]} in 8 of 8 images of sane" in warning


def test_each_property_has_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    large_colour = encode_image(np.tile(COLOUR, (2, 2, 1)), "jpeg")
    source = write_images({"a": [GREY_PNG] * 6, "b": [large_colour] * 6})
    assert len(import_set(capsys, source, *RESIZE)) == 3


@pytest.mark.parametrize(
    "images",
    [
        {"a": [GREY_PNG] * 10, "b": [GREY_PNG] * 10},
        {"a": [GREY_PNG] * 10, "b": [EQUAL_CHANNELS_PNG] * 10},  # the same pixels
        {"a": [GREY_PNG, COLOUR_PNG] * 5, "b": [GREY_PNG, COLOUR_PNG] * 5},
        {"a": [GREY_PNG, GREY_JPEG] * 5, "b": [GREY_PNG, GREY_JPEG] * 5},
        {"a": [GREY_PNG] * 9 + [COLOUR_PNG], "b": [GREY_PNG] * 10},  # one odd image
        {"a": [GREY_PNG] * 10, "b": [GREY_PNG] * 8 + [WIDE_PNG] * 2},
        {"a": [GREY_PNG] * 10, "b": [GREY_PNG, COLOUR_PNG] * 5},  # a part of a class
        {"a": [GREY_PNG] * 10, "b": [COLOUR_PNG] * 4},  # too few to say what is usual
    ],
)
def test_property_that_does_not_tell_the_class_is_no_warning(
    capsys: pytest.CaptureFixture[str], images: Images
) -> None:
    assert import_set(capsys, write_images(images)) == []


def test_odd_images_do_not_hide_the_warning(capsys: pytest.CaptureFixture[str]) -> None:
    images = {"a": [GREY_PNG] * 9 + [COLOUR_PNG], "b": [COLOUR_PNG] * 9 + [GREY_PNG]}
    (warning,) = import_set(capsys, write_images(images))
    assert "grey in 9 of 10 images of a" in warning
    assert "colour in 9 of 10 images of b" in warning


def test_class_of_many_sizes_beside_one_of_one_size(capsys: pytest.CaptureFixture[str]) -> None:
    various = [encode_image(np.tile(GREY, (2, n))) for n in range(1, 11)]
    source = write_images({"a": [GREY_PNG] * 10, "b": various})
    (warning,) = import_set(capsys, source, *RESIZE)
    assert "8 x 6 in 10 of 10 images of a" in warning


def test_classes_of_many_sizes_are_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """Where each image has its own size, no two classes share one; a size says nothing."""
    sizes = [encode_image(np.tile(GREY, (1, n))) for n in range(1, 21)]
    source = write_images({"a": sizes[::2], "b": sizes[1::2]})
    assert import_set(capsys, source, *RESIZE) == []


def test_warning_of_many_classes_names_the_other_one(capsys: pytest.CaptureFixture[str]) -> None:
    images: Images = {f"class {number}": [GREY_PNG] * 6 for number in range(9)}
    (warning,) = import_set(capsys, write_images({**images, "last": [COLOUR_PNG] * 6}))
    assert "colour in 6 of 6 images of last" in warning


def test_warning_comes_with_a_table_too(capsys: pytest.CaptureFixture[str]) -> None:
    source = write_images({"images": [GREY_PNG] * 6 + [COLOUR_PNG] * 6})
    rows = [f"{number}.png,{'ab'[number // 6]}" for number in range(12)]
    Path("table.csv").write_text("\n".join(["file,class", *rows]) + "\n")
    (warning,) = import_set(capsys, source, "--table", "table.csv")
    assert "colour in 6 of 6 images of b" in warning


@pytest.mark.parametrize(
    ("element", "values"),
    [
        ("Modality", ("MR", "CT")),
        ("Manufacturer", ("ACME", "OTHER")),
        ("BitsStored", (16, 12)),
    ],
)
def test_dicom_element_that_tells_the_class(
    capsys: pytest.CaptureFixture[str], element: str, values: tuple[object, object]
) -> None:
    images: dict[str, list[bytes]] = {}
    for name, value in zip("ab", values, strict=True):
        high_bit = value - 1 if isinstance(value, int) else 15
        elements = {**WINDOW, "HighBit": high_bit, element: value}
        persons = [{"PatientID": f"{name}{number}"} for number in range(6)]
        images[name] = [encode_dicom(elements=elements | person) for person in persons]
    (warning,) = import_set(capsys, write_images(images, ".dcm"))
    for name, value in zip("ab", values, strict=True):
        assert f"6 of 6 images of {name}" in warning
        assert str(value) in warning


def test_manufacturers_in_other_capitals_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    images: dict[str, list[bytes]] = {}
    for name, maker in (("a", "Acme"), ("b", "ACME ")):
        elements = {**WINDOW, "Manufacturer": maker}
        persons = [{"PatientID": f"{name}{number}"} for number in range(6)]
        images[name] = [encode_dicom(elements=elements | person) for person in persons]
    assert import_set(capsys, write_images(images, ".dcm")) == []


def test_damaged_manufacturer_spoils_no_image(tmp_path: Path) -> None:
    """pydicom raises an error for four bytes of a number that has eight."""
    data = encode_dicom(elements={**WINDOW, "Manufacturer": "ACME"})
    damaged = data.replace(b"\x08\x00\x70\x00LO", b"\x08\x00\x70\x00FD")
    assert damaged != data
    path = tmp_path / "1.dcm"
    path.write_bytes(damaged)
    kind: Kind = {}
    read_dicom(path, PixelOptions(), Counter(), kind)
    assert kind[Property.FORMAT] == "DICOM"


def test_volumes_of_other_numbers_tell_the_class(capsys: pytest.CaptureFixture[str]) -> None:
    voxels = np.arange(60).reshape(3, 4, 5)
    for name, number_type in (("a", np.int16), ("b", np.float32)):
        for number in range(2):
            write_volume(Path("set", name, f"{name}{number}.nii.gz"), voxels.astype(number_type))
    (warning,) = import_set(capsys, Path("set"), "--slices", "0:5")
    assert "int16 in 10 of 10 images of a" in warning
    assert "float32 in 10 of 10 images of b" in warning
