"""DICOM files: the grey levels of the standard, computed by hand, or an ImageError."""

import tracemalloc
import zlib
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile
from zipfile import Path as ZipMember

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from mri_stages.ingest import bounded_bytes, dicom_file
from mri_stages.ingest.dicom_file import read_dicom, read_header
from mri_stages.ingest.formats import open_pictures
from mri_stages.ingest.image_set import FaultyPicture, ImageError
from mri_stages.ingest.import_options import PixelOptions
from tests.helpers.medical_files import (
    DICOM_FOLDER,
    GREYS,
    WINDOW,
    encode_dicom,
    list_dicom_files,
    make_table,
    write_dicom,
)

PERCENTILES = PixelOptions(percentiles=(0, 100))


def compute_window(values: NDArray[Any], center: float, width: float) -> NDArray[np.uint8]:
    """Return grey levels pixel by pixel, as in the pseudo-code of PS3.3 C.11.2.1.2.1."""
    levels = np.zeros(values.shape)
    for position, value in np.ndenumerate(values):
        if value <= center - 0.5 - (width - 1) / 2:
            levels[position] = 0
        elif value > center - 0.5 + (width - 1) / 2:
            levels[position] = 255
        else:
            levels[position] = ((value - (center - 0.5)) / (width - 1) + 0.5) * 255
    grey: NDArray[np.uint8] = np.rint(levels).astype(np.uint8)
    return grey


def read_levels(
    folder: Path,
    elements: Mapping[str, object],
    pixels: NDArray[Any] = GREYS,
    options: PixelOptions | None = None,
    notes: Counter[str] | None = None,
) -> NDArray[np.uint8]:
    """Return one channel of a DICOM file with these elements."""
    path = write_dicom(folder / "1.dcm", pixels, elements)
    counted = Counter[str]() if notes is None else notes
    image = read_dicom(path, options or PixelOptions(), counted)
    assert (image == image[0]).all()
    levels: NDArray[np.uint8] = image[0]
    return levels


def read_fault(folder: Path, elements: Mapping[str, object], pixels: NDArray[Any] = GREYS) -> str:
    """Return the kind of the ImageError that a file with these elements ends in."""
    path = write_dicom(folder / "1.dcm", pixels, elements)
    with pytest.raises(ImageError) as error:
        read_dicom(path, PixelOptions(), Counter())
    return error.value.kind


def test_window_is_that_of_the_standard(tmp_path: Path) -> None:
    levels = read_levels(tmp_path, WINDOW)
    np.testing.assert_array_equal(levels, compute_window(GREYS, 0, 400))
    assert len(np.unique(levels)) > 5


def test_rescaling_comes_before_the_window(tmp_path: Path) -> None:
    rescaling = {"RescaleSlope": 2, "RescaleIntercept": -1024, "RescaleType": "HU"}
    levels = read_levels(tmp_path, {**rescaling, "WindowCenter": -1000, "WindowWidth": 500})
    np.testing.assert_array_equal(levels, compute_window(GREYS * 2 - 1024, -1000, 500))


def test_negative_slope_inverts(tmp_path: Path) -> None:
    levels = read_levels(tmp_path, {**WINDOW, "RescaleSlope": -1, "RescaleIntercept": 0})
    np.testing.assert_array_equal(levels, compute_window(-GREYS, 0, 400))


def test_monochrome1_is_inverted_at_the_end(tmp_path: Path) -> None:
    elements = {**WINDOW, "PhotometricInterpretation": "MONOCHROME1"}
    notes = Counter[str]()
    levels = read_levels(tmp_path, elements, notes=notes)
    np.testing.assert_array_equal(levels, 255 - compute_window(GREYS, 0, 400))
    assert any("MONOCHROME1" in note for note in notes)


def test_linear_exact_window_has_no_offset(tmp_path: Path) -> None:
    levels = read_levels(tmp_path, {**WINDOW, "VOILUTFunction": "LINEAR_EXACT"})
    expected = ((GREYS.astype(float) - 0) / 400 + 0.5).clip(0, 1) * 255
    np.testing.assert_array_equal(levels, np.rint(expected))


def test_sigmoid_window_is_a_logistic_curve(tmp_path: Path) -> None:
    levels = read_levels(tmp_path, {**WINDOW, "VOILUTFunction": "SIGMOID"})
    expected = 255 / (1 + np.exp(-4 * GREYS.astype(float) / 400))
    np.testing.assert_array_equal(levels, np.rint(expected))


def test_first_of_several_windows_is_taken(tmp_path: Path) -> None:
    notes = Counter[str]()
    elements: dict[str, object] = {"WindowCenter": [0, 100], "WindowWidth": [400, 100]}
    levels = read_levels(tmp_path, elements, notes=notes)
    np.testing.assert_array_equal(levels, compute_window(GREYS, 0, 400))
    assert notes == {dicom_file.SEVERAL_NOTE: 1}


def test_same_window_twice_is_no_choice(tmp_path: Path) -> None:
    notes = Counter[str]()
    read_levels(tmp_path, {"WindowCenter": [0, 0], "WindowWidth": [400, 400]}, notes=notes)
    assert not notes


@pytest.mark.parametrize("n_bits", [8, 12, 16])
def test_voi_table_maps_each_value(tmp_path: Path, n_bits: int) -> None:
    results = [int(share * (2**n_bits - 1)) for share in np.linspace(0, 1, 601) ** 2]
    elements = {"VOILUTSequence": [make_table(results, -300, n_bits)]}
    levels = read_levels(tmp_path, elements)
    expected = [round(results[value + 300] / (2**n_bits - 1) * 255) for value in GREYS.ravel()]
    np.testing.assert_array_equal(levels.ravel(), expected)


def test_voi_table_of_bytes_in_12_bit_pixels(tmp_path: Path) -> None:
    """pydicom's own function counts such entries in 8 bits."""
    pixels = np.array([[0, 255, 256, 4095]], np.uint16)
    results = [entry // 16 for entry in range(4096)]
    levels = read_levels(tmp_path, {"VOILUTSequence": [make_table(results, 0, 8)]}, pixels)
    assert levels.tolist() == [[0, 15, 16, 255]]


def test_values_beyond_a_table_get_its_ends(tmp_path: Path) -> None:
    elements = {"VOILUTSequence": [make_table([0, 255], 0, 8)]}
    levels = read_levels(tmp_path, elements)
    np.testing.assert_array_equal(levels, np.where(GREYS > 0, 255, 0))


def test_modality_table_comes_before_the_window(tmp_path: Path) -> None:
    pixels = np.array([[0, 1, 2, 3]], np.uint8)
    table = make_table([0, 100, 200, 300], 0, 16)
    table.ModalityLUTType = "US"
    elements = {"ModalityLUTSequence": [table], "WindowCenter": 150, "WindowWidth": 400}
    levels = read_levels(tmp_path, elements, pixels)
    np.testing.assert_array_equal(levels, compute_window(pixels * 100.0, 150, 400))


def test_window_option_replaces_that_of_the_file(tmp_path: Path) -> None:
    levels = read_levels(tmp_path, WINDOW, options=PixelOptions(window=(100, 200)))
    np.testing.assert_array_equal(levels, compute_window(GREYS, 100, 200))


def test_percentiles_are_those_of_the_image(tmp_path: Path) -> None:
    levels = read_levels(tmp_path, {}, options=PixelOptions(percentiles=(10, 90)))
    low, high = np.percentile(GREYS, (10, 90))
    expected = np.rint(((GREYS - low) / (high - low)).clip(0, 1) * 255)
    np.testing.assert_array_equal(levels, expected)


@pytest.mark.parametrize(
    "padding",
    [
        {"PixelPaddingValue": -2000},
        {"PixelPaddingValue": -2100, "PixelPaddingRangeLimit": -1900},
    ],
)
def test_percentiles_leave_out_padding(tmp_path: Path, padding: Mapping[str, object]) -> None:
    pixels = np.array([[-2000, 0, 50, 100]], np.int16)
    levels = read_levels(tmp_path, padding, pixels, PERCENTILES)
    assert levels.tolist() == [[0, 0, 128, 255]]


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("padding", [-2000, 2000])
def test_percentiles_leave_padding_black(tmp_path: Path, kind: str, padding: int) -> None:
    pixels = np.array([[padding, 0, 100]], np.int16)
    elements = {"PixelPaddingValue": padding, "PhotometricInterpretation": kind}
    notes = Counter[str]()
    levels = read_levels(tmp_path, elements, pixels, PERCENTILES, notes)
    assert sorted(levels[0, 1:].tolist()) == [0, 255]
    assert levels[0, 0] == 0
    assert notes[dicom_file.PADDING_NOTE] == 1


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("padding", [-2000, 2000])
@pytest.mark.parametrize("options", [PixelOptions(), PixelOptions(window=(0, 400))])
def test_window_leaves_padding_black(
    tmp_path: Path, kind: str, padding: int, options: PixelOptions
) -> None:
    pixels = np.array([[padding, -300, 300]], np.int16)
    elements = {**WINDOW, "PixelPaddingValue": padding, "PhotometricInterpretation": kind}
    notes = Counter[str]()
    levels = read_levels(tmp_path, elements, pixels, options, notes)
    assert sorted(levels[0, 1:].tolist()) == [0, 255]
    assert levels[0, 0] == 0
    assert notes[dicom_file.PADDING_NOTE] == 1


def test_padding_of_unsigned_bits_is_signed(tmp_path: Path) -> None:
    """Some writers store the padding of signed pixels as an unsigned number."""
    path = write_dicom(tmp_path / "1.dcm", np.array([[-2000, 0, 100]], np.int16))
    dataset = dcmread(path)
    dataset.add_new("PixelPaddingValue", "US", 2**16 - 2000)
    dataset.save_as(path)
    levels = read_dicom(path, PERCENTILES, Counter())[0]
    assert levels.tolist() == [[0, 0, 255]]


def test_signed_pixels_of_12_bits(tmp_path: Path) -> None:
    pixels = np.array([[0x0FFF, 0x0001]], np.uint16)  # -1 and 1 in 12 bits
    bits = {"PixelRepresentation": 1, "BitsStored": 12, "HighBit": 11}
    levels = read_levels(tmp_path, {**bits, "WindowCenter": 0.5, "WindowWidth": 3}, pixels)
    np.testing.assert_array_equal(levels, compute_window(np.array([[-1, 1]]), 0.5, 3))


def test_colour_keeps_its_pixels() -> None:
    path = DICOM_FOLDER / "SC_rgb_small_odd.dcm"
    notes = Counter[str]()
    image = read_dicom(path, PixelOptions(), notes)
    stored = np.frombuffer(dcmread(path).PixelData, np.uint8)[:27]
    np.testing.assert_array_equal(image.transpose(1, 2, 0).ravel(), stored)
    assert notes == {dicom_file.COLOUR_NOTE: 1}


def test_ybr_colours_become_rgb() -> None:
    """Both files show the same test picture."""
    rgb = read_dicom(DICOM_FOLDER / "SC_rgb_dcmtk_+eb+cr.dcm", PixelOptions(), Counter())
    ybr = read_dicom(DICOM_FOLDER / "SC_ybr_full_422_uncompressed.dcm", PixelOptions(), Counter())
    assert np.abs(rgb.astype(int) - ybr).mean() < 2


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_window_of_pixels_of_up_to_32_bits(tmp_path: Path, dtype: type) -> None:
    pixels: NDArray[Any] = (GREYS // 10).astype(dtype)
    path = write_dicom(tmp_path / "1.dcm", pixels, {"WindowCenter": 0, "WindowWidth": 40})
    levels = read_dicom(path, PixelOptions(), Counter())[0]
    np.testing.assert_array_equal(levels, compute_window(pixels, 0, 40))


@pytest.mark.parametrize(
    ("elements", "kind"),
    [
        ({}, "without a window"),
        ({"WindowCenter": 0}, "without a window"),
        ({"WindowCenter": 0, "WindowWidth": 0}, "of a wrong window"),
        ({"WindowCenter": 0, "WindowWidth": -3}, "of a wrong window"),
        ({**WINDOW, "VOILUTFunction": "CUBIC"}, "of a wrong window"),
        ({**WINDOW, "VOILUTFunction": "LINEAR_EXACT", "WindowWidth": 0}, "of a wrong window"),
        ({**WINDOW, "RescaleSlope": 0, "RescaleIntercept": 0}, "of a wrong rescaling"),
        ({**WINDOW, "RescaleSlope": 1}, "of a wrong rescaling"),
        ({**WINDOW, "NumberOfFrames": 2}, "of several frames"),
        ({**WINDOW, "PhotometricInterpretation": "PALETTE COLOR"}, "of palette colours"),
        ({**WINDOW, "PhotometricInterpretation": "HSV"}, "of another kind of pixel"),
        ({**WINDOW, "SamplesPerPixel": 2}, "of another kind of pixel"),
        ({**WINDOW, "BitsAllocated": 1}, "of 1 bit per pixel"),
        ({**WINDOW, "BitsAllocated": 12}, "of another kind of pixel"),
        ({**WINDOW, "PixelData": ""}, "without an image"),
        ({**WINDOW, "Rows": ""}, "without a size"),
        ({**WINDOW, "Columns": 0}, "without a size"),
        ({**WINDOW, "Rows": 65535, "Columns": 65535}, "too large"),
        ({**WINDOW, "Rows": 8192, "Columns": 8193}, "too large"),
        ({**WINDOW, "Rows": 8192, "Columns": 8192}, "unreadable"),
        ({"VOILUTSequence": [make_table([0, 255], 0, 7)]}, "unreadable"),
        ({"VOILUTSequence": [Dataset()]}, "unreadable"),
    ],
)
def test_faulty_elements_are_named(
    tmp_path: Path, elements: Mapping[str, object], kind: str
) -> None:
    assert read_fault(tmp_path, elements) == kind


def test_float_pixels_are_refused(tmp_path: Path) -> None:
    pixels = GREYS.astype(np.float32)
    elements = {**WINDOW, "PixelData": "", "FloatPixelData": pixels.tobytes()}
    assert read_fault(tmp_path, elements, pixels) == "of float pixels"


def test_missing_window_names_both_options(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "1.dcm")
    with pytest.raises(ImageError, match=r"--window CENTER WIDTH.*--percentiles LOW HIGH"):
        read_header(path, PixelOptions())


def test_equal_percentiles_are_refused(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "1.dcm", np.full((3, 4), 7, np.int16))
    with pytest.raises(ImageError, match="one grey level"):
        read_dicom(path, PERCENTILES, Counter())


def test_padding_alone_is_empty(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "1.dcm", elements={"PixelPaddingValue": 7}, pixels=GREYS * 0 + 7)
    with pytest.raises(ImageError, match="padding"):
        read_dicom(path, PERCENTILES, Counter())


def test_missing_decoder_names_the_compression() -> None:
    source = DICOM_FOLDER / "MR_small_jpeg_ls_lossless.dcm"
    with pytest.raises(ImageError, match=JPEGLSLossless.name):
        read_header(source, PixelOptions())


def test_damaged_compression_is_named(tmp_path: Path) -> None:
    dataset = dcmread(DICOM_FOLDER / "MR_small_RLE.dcm")
    dataset.PixelData = encapsulate([bytes(64)])
    dataset.save_as(tmp_path / "1.dcm")
    with pytest.raises(ImageError, match=RLELossless.name):
        read_dicom(tmp_path / "1.dcm", PixelOptions(), Counter())


def test_header_holds_the_id_without_spaces(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "1.dcm", elements={**WINDOW, "PatientID": " A 7 "})
    assert read_header(path, PixelOptions()) == ("A 7", "0 400")


@pytest.mark.parametrize("value", ["", None])
def test_header_without_an_id_has_none(tmp_path: Path, value: object) -> None:
    path = write_dicom(tmp_path / "1.dcm", elements={**WINDOW, "PatientID": value})
    assert read_header(path, PixelOptions()).patient_id == ""


def test_file_in_a_zip_reads_as_outside(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "1.dcm", elements=WINDOW)
    with ZipFile(tmp_path / "set.zip", "w", ZIP_DEFLATED) as archive:
        archive.write(path, "a/1.dcm")
    member = ZipMember(tmp_path / "set.zip", "a/1.dcm")
    zipped = read_dicom(member, PixelOptions(), Counter())
    np.testing.assert_array_equal(zipped, read_dicom(path, PixelOptions(), Counter()))


def test_deflated_file_reads_as_a_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "1.dcm"
    path.write_bytes(encode_dicom(GREYS, WINDOW, DeflatedExplicitVRLittleEndian))
    levels = read_dicom(path, PixelOptions(), Counter())[0]
    np.testing.assert_array_equal(levels, compute_window(GREYS, 0, 400))


def test_deflated_bomb_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_file, "MAX_FILE_BYTES", 2**20)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = compressor.compress(bytes(2**22)) + compressor.flush()
    whole = encode_dicom(GREYS, WINDOW, DeflatedExplicitVRLittleEndian)
    length = int.from_bytes(whole[140:144], "little")  # of the meta elements
    path = tmp_path / "1.dcm"
    path.write_bytes(whole[: 144 + length] + bomb)
    with pytest.raises(ImageError, match="inflated"):
        read_dicom(path, PixelOptions(), Counter())


def test_count_inflated_bytes_is_exact_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_file, "PART_BYTES", 1000)
    data = np.random.default_rng(0).integers(0, 9, 12345, np.uint8).tobytes()
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = compressor.compress(data) + compressor.flush()
    assert dicom_file.count_inflated_bytes(deflated) == len(data)
    assert dicom_file.count_inflated_bytes(deflated[:-9]) <= len(data)


def test_file_over_the_limit_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dicom(tmp_path / "1.dcm", elements=WINDOW)
    with pytest.raises(ImageError, match="too large"):
        bounded_bytes.read_bounded(path, max_bytes=100)


def test_missing_pixels_take_no_memory(tmp_path: Path) -> None:
    elements = {**WINDOW, "Rows": 8192, "Columns": 8192}
    tracemalloc.start()
    assert read_fault(tmp_path, elements) == "unreadable"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**26


@pytest.mark.parametrize("size", [0, 100, 140, 300, 400, -10])
def test_truncated_file_is_an_image_error(tmp_path: Path, size: int) -> None:
    path = tmp_path / "1.dcm"
    path.write_bytes(encode_dicom(elements=WINDOW)[:size])
    with pytest.raises(ImageError):
        read_dicom(path, PixelOptions(), Counter())


@pytest.mark.parametrize("path", list_dicom_files(), ids=lambda path: path.name)
@pytest.mark.parametrize("options", [PixelOptions(), PERCENTILES], ids=["own", "percentiles"])
def test_real_file_gives_pixels_or_a_fault(path: Path, options: PixelOptions) -> None:
    (opened,) = open_pictures(path, path.name, options)
    with suppress(ImageError):
        image = opened.picture.read(Counter())
        assert image.dtype == np.uint8
        assert image.shape[0] == 3
        assert image.ndim == 3


def test_real_files_are_mostly_readable() -> None:
    """So that the test above is about pixels, not about faults alone."""
    opened = []
    for path in list_dicom_files():
        opened += open_pictures(path, path.name, PERCENTILES)
    faults = [item for item in opened if isinstance(item.picture, FaultyPicture)]
    assert len(faults) < len(opened) / 2


@pytest.mark.parametrize(
    "name", ["MR_small_RLE", "MR_small_bigendian", "MR_small_implicit", "MR_small_jp2klossless"]
)
def test_real_encodings_give_equal_pixels(name: str) -> None:
    plain = read_dicom(DICOM_FOLDER / "MR_small.dcm", PixelOptions(), Counter())
    encoded = read_dicom(DICOM_FOLDER / f"{name}.dcm", PixelOptions(), Counter())
    np.testing.assert_array_equal(encoded, plain)


def test_real_slice_has_the_levels_of_its_window() -> None:
    path = DICOM_FOLDER / "MR_small.dcm"
    stored = np.frombuffer(dcmread(path).PixelData, "<i2").reshape(64, 64)
    levels = read_dicom(path, PixelOptions(), Counter())[0]
    np.testing.assert_array_equal(levels, compute_window(stored, 600, 1600))


def test_pixels_of_two_frames_are_refused(tmp_path: Path) -> None:
    # The header says one frame of 3 rows; the pixels fill two.
    assert read_fault(tmp_path, {**WINDOW, "Rows": 3}, np.tile(GREYS, (2, 1))) == "of a wrong size"


def test_high_bit_above_the_stored_bits_is_refused(tmp_path: Path) -> None:
    elements = {**WINDOW, "BitsStored": 12, "HighBit": 15}
    assert read_fault(tmp_path, elements) == "of another kind of pixel"
