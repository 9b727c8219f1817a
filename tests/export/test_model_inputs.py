"""Files that a person wants predicted, read as a model takes them."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from pydicom.data import get_testdata_file

from mri_stages.errors import ArgumentError, InputError
from mri_stages.export.model_inputs import (
    InputImage,
    ReadingNotes,
    list_files,
    list_option_warnings,
    merge_options,
    read_inputs,
)
from mri_stages.export.outputs import Outputs
from mri_stages.export.trained_model import TrainedModel
from mri_stages.ingest.import_options import Axis, Fit, ImportOptions, PixelOptions

NOT_IMPORTED = ImportOptions()
IMPORTED = ImportOptions(resize=(4, 5), percentiles=(1, 99), slices="2:4")


def make_model(
    channels: int = 3, has_unit_range: bool = True, options: ImportOptions = NOT_IMPORTED
) -> TrainedModel:
    """Return a model of images of 4 x 5 pixels that nobody asks for outputs."""

    def compute_batch(images: np.ndarray) -> Outputs:
        raise NotImplementedError

    return TrainedModel(
        name="small",
        file=Path("small.safetensors"),
        classes=["a", "b"],
        image_shape=(channels, 4, 5),
        has_unit_range=has_unit_range,
        import_options=options,
        options_file=Path("import.json"),
        compute_batch=compute_batch,
    )


def save_image(path: Path, mode: str = "RGB", size: tuple[int, int] = (5, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 51 if mode == "L" else (51, 102, 255)).save(path)
    return path


def read(
    path: Path,
    model: TrainedModel,
    options: PixelOptions = NOT_IMPORTED,
    notes: ReadingNotes | None = None,
) -> list[InputImage]:
    """Return the images of one file or folder."""
    return list(read_inputs(list_files([str(path)]), model, options, notes or ReadingNotes()))


def list_names(source: Path) -> list[str]:
    return [file.name for file in list_files([str(source)])]


def test_list_files_sorts_a_folder(tmp_path: Path) -> None:
    files = [save_image(tmp_path / name) for name in ("b.png", "a/c.JPG", "a/b.png")]
    assert list_names(tmp_path) == [str(file) for file in files[::-1]]


@pytest.mark.parametrize("name", [".a.png", ".hidden/a.png", "a.txt"])
def test_list_files_leaves_hidden_and_other_files_out(tmp_path: Path, name: str) -> None:
    visible = save_image(tmp_path / "visible.png")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert list_names(tmp_path) == [str(visible)]


def test_list_files_keeps_a_named_hidden_file(tmp_path: Path) -> None:
    assert list_names(tmp_path / ".a.png") == [str(tmp_path / ".a.png")]


def test_list_files_of_an_empty_folder_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image"):
        list_files([str(tmp_path)])


def test_read_inputs_of_a_zip(tmp_path: Path) -> None:
    archive = tmp_path / "images.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(save_image(tmp_path / "a.png"), "inner/a.png")
    (image,) = read(archive, make_model())
    assert image.name == f"{archive}/inner/a.png"


def test_read_inputs_of_a_colour_image(tmp_path: Path) -> None:
    (image,) = read(save_image(tmp_path / "a.png"), make_model())
    assert image.name == str(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels[:, 0, 0], np.array([51, 102, 255], np.float32) / 255)


def test_read_inputs_of_a_grey_image(tmp_path: Path) -> None:
    (image,) = read(save_image(tmp_path / "a.png", "L"), make_model(channels=1))
    np.testing.assert_array_equal(image.pixels, np.full((1, 4, 5), 0.2, np.float32))


def test_read_inputs_of_a_colour_for_grey_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="colour"):
        read(save_image(tmp_path / "a.png"), make_model(channels=1))


def test_read_inputs_of_another_size_names_the_option(tmp_path: Path) -> None:
    file = save_image(tmp_path / "a.png", size=(10, 8))
    with pytest.raises(InputError, match=r"a\.png: 8 x 10 .*--resize 4 5"):
        read(file, make_model())


def test_read_inputs_resizes(tmp_path: Path) -> None:
    file = save_image(tmp_path / "a.png", size=(10, 8))
    (image,) = read(file, make_model(), PixelOptions(resize=(4, 5)))
    assert image.pixels.shape == (3, 4, 5)


def test_read_inputs_pads_as_the_import_did(tmp_path: Path) -> None:
    file = save_image(tmp_path / "a.png", size=(4, 4))
    (image,) = read(file, make_model(), PixelOptions(resize=(4, 5), fit=Fit.PAD))
    black_columns = (image.pixels == 0).all(axis=(0, 1))
    assert black_columns.sum() == 1


def test_read_inputs_of_a_volume_gives_its_slices(tmp_path: Path) -> None:
    voxels = np.arange(5 * 4 * 6, dtype=np.float32).reshape(5, 4, 6)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "scan.nii.gz")
    notes = ReadingNotes()
    images = read(tmp_path, make_model(), PixelOptions(slices="2:5:2"), notes)
    assert [image.name for image in images] == [f"{tmp_path}/scan.nii.gz:{row}" for row in (2, 4)]
    assert "2 of the images" in notes.list_lines()[0]


def test_read_inputs_of_a_dicom_file(tmp_path: Path) -> None:
    path = Path(str(get_testdata_file("CT_small.dcm", download=False)))
    options = PixelOptions(resize=(4, 5), window=(1000, 2000))
    (image,) = read(path, make_model(), options)
    assert image.pixels.shape == (3, 4, 5)


def test_read_inputs_of_an_image_for_other_pixels_fails(tmp_path: Path) -> None:
    file = save_image(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: .* from 0 to 1"):
        read(file, make_model(has_unit_range=False))


def test_read_inputs_of_a_tensor_for_other_pixels(tmp_path: Path) -> None:
    tensor = 255 * torch.rand(2, 3, 4, 5)
    torch.save(tensor, tmp_path / "a.pt")
    images = read(tmp_path / "a.pt", make_model(has_unit_range=False))
    assert [image.name for image in images] == [f"{tmp_path}/a.pt:0", f"{tmp_path}/a.pt:1"]
    np.testing.assert_array_equal(np.stack([image.pixels for image in images]), tensor.numpy())


def test_read_inputs_of_a_tensor_of_another_shape_fails(tmp_path: Path) -> None:
    torch.save(torch.rand(2, 3, 5, 4), tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"a\.pt: .*\(2, 3, 5, 4\)"):
        read(tmp_path / "a.pt", make_model())


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 4, 5)])
def test_read_inputs_of_a_tensor_without_rows_names_its_own_shape(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    torch.save(torch.rand(shape), tmp_path / "a.pt")
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.pt", make_model())
    assert f"{shape}, expected (N, 3, 4, 5)" in str(caught.value)
    is_one_image = shape == (3, 4, 5)
    assert ("x[None]" in str(caught.value)) == is_one_image


def test_reading_notes_name_a_scan_of_12_bits(tmp_path: Path) -> None:
    levels = np.arange(20, dtype=np.uint16).reshape(4, 5)
    Image.fromarray(levels * 200).save(tmp_path / "scan.png")
    save_image(tmp_path / "usual.png")
    notes = ReadingNotes()
    read(tmp_path, make_model(), notes=notes)
    (line,) = notes.list_lines()
    assert line.startswith("warning: ")
    assert "scan.png" in line
    assert "12 bits" in line


def test_reading_notes_count_a_kind_once() -> None:
    notes = ReadingNotes()
    notes.add("a.png", ["are odd"])
    notes.add("b.png", ["are odd", "are small"])
    assert notes.list_lines() == [
        "note: 2 of the images, such as a.png, are odd",
        "note: 1 of the images, such as b.png, are small",
    ]


def test_options_are_those_of_the_import() -> None:
    options = merge_options({}, make_model(options=IMPORTED))
    assert options == PixelOptions(resize=(4, 5), percentiles=(1, 99), slices="2:4")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"slices": "0:9", "axis": "coronal"}, {"slices": "0:9", "axis": Axis.CORONAL}),
        ({"window": [40, 80]}, {"window": (40, 80), "percentiles": None}),
        ({"fit": "crop"}, {"fit": Fit.CROP, "resize": (4, 5)}),
    ],
)
def test_given_options_take_the_place_of_the_imports(
    given: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    options = merge_options({**given, "csv": None}, make_model(options=IMPORTED))
    assert {name: getattr(options, name) for name in expected} == expected


def test_given_options_that_exclude_each_other_fail() -> None:
    with pytest.raises(ArgumentError, match="--window"):
        merge_options({"window": [1, 2], "percentiles": [1, 2]}, make_model())


def test_an_option_that_differs_is_a_warning_of_both_values() -> None:
    model = make_model(options=IMPORTED)
    options = merge_options({"resize": [8, 9], "percentiles": [1, 99]}, model)
    (line,) = list_option_warnings(options, "on the command line", model)
    assert "--resize 8 9" in line
    assert "--resize 4 5" in line
    assert "import.json" in line


def test_options_of_tensors_without_an_import_do_not_differ() -> None:
    model = make_model()
    assert list_option_warnings(merge_options({"resize": [8, 9]}, model), "here", model) == []
