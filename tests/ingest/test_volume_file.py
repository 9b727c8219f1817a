"""Volumes: which way their slices lie, their grey levels, or an ImageError."""

import gzip
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile
from zipfile import Path as ZipMember

import nibabel
import numpy as np
import pytest
from nibabel.analyze import AnalyzeHeader
from nibabel.nifti1 import Nifti1Header, Nifti1Image, Nifti1Pair
from nibabel.nifti2 import Nifti2Image
from nibabel.spm2analyze import Spm2AnalyzeHeader
from numpy.typing import NDArray

from mri_stages.errors import ArgumentError
from mri_stages.ingest import volume_file
from mri_stages.ingest.image_set import ImageError
from mri_stages.ingest.import_options import Axis, PixelOptions
from mri_stages.ingest.volume_file import check_bytes, check_slice, list_slices
from tests.helpers.medical_files import VOLUME_FOLDER, write_volume

SHAPE = (5, 6, 7)  # to the right, to anterior, to superior
RNG = np.random.default_rng(0)
VOXELS = RNG.integers(0, 1000, SHAPE).astype(np.int16)
WHOLE_RANGE = (0.0, 100.0)

OBLIQUE = np.array(
    [[0.9, -0.3, 0.1, 5], [0.3, 0.9, 0.2, 6], [-0.1, -0.2, 0.95, 7], [0, 0, 0, 1]], np.float64
)


def make_options(axis: Axis = Axis.AXIAL, slices: str = "0:5", **values: Any) -> PixelOptions:
    return PixelOptions(axis=axis, slices=slices, **values)


def read_volume(
    path: Path | ZipMember, options: PixelOptions, notes: Counter[str] | None = None
) -> NDArray[np.uint8]:
    """Return the slices of a volume (N, H, W), which are grey."""
    counted = Counter[str]() if notes is None else notes
    images = [piece.read(counted) for piece in list_slices(path, options)]
    assert all((image == image[0]).all() for image in images)
    return np.stack([image[0] for image in images])


def reorder(voxels: NDArray[Any], affine: NDArray[Any], codes: str) -> Nifti1Image:
    """Return a canonical volume stored in another order of axes, such as "LPS"."""
    image = Nifti1Image(voxels, affine)
    start = nibabel.orientations.axcodes2ornt(("R", "A", "S"))
    end = nibabel.orientations.axcodes2ornt(tuple(codes))
    stored: Nifti1Image = image.as_reoriented(nibabel.orientations.ornt_transform(start, end))
    return stored


def draw_landmark(axis: Axis, direction: str) -> NDArray[np.uint8]:
    """Return a volume that is white on one side of the patient, and its middle slice along `axis`.

    direction: L or R, A or P, S or I.
    """
    voxels = np.zeros((9, 9, 9), np.uint8)
    side = slice(0, 3) if direction in "LPI" else slice(6, 9)
    index: list[slice] = [slice(None)] * 3
    index[{"L": 0, "R": 0, "P": 1, "A": 1, "I": 2, "S": 2}[direction]] = side
    voxels[tuple(index)] = 255
    return voxels


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "PIR", "SLA", "ARI"])
@pytest.mark.parametrize("affine", [np.eye(4), OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize(
    ("axis", "direction", "part"),
    [
        (Axis.AXIAL, "A", np.s_[:3, :]),
        (Axis.AXIAL, "L", np.s_[:, 6:]),
        (Axis.CORONAL, "S", np.s_[:3, :]),
        (Axis.CORONAL, "L", np.s_[:, 6:]),
        (Axis.SAGITTAL, "A", np.s_[:3, :]),
        (Axis.SAGITTAL, "S", np.s_[:, 6:]),
    ],
)
def test_slice_shows_each_side_where_docs_say(
    tmp_path: Path, codes: str, affine: NDArray[Any], axis: Axis, direction: str, part: Any
) -> None:
    path = tmp_path / "1.nii"
    nibabel.save(reorder(draw_landmark(axis, direction), affine, codes), path)
    (pixels,) = read_volume(path, make_options(axis, "4:5"))
    expected = np.zeros((9, 9), np.uint8)
    expected[part] = 255
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("axis", list(Axis))
def test_slices_follow_the_canonical_axis(tmp_path: Path, axis: Axis) -> None:
    """The first index is at the patient's left, posterior or inferior end."""
    number = volume_file.AXIS_NUMBERS[axis]
    voxels = np.moveaxis(np.broadcast_to(np.arange(5, dtype=np.uint8), (5, 5, 5)), 2, number)
    path = tmp_path / "1.nii.gz"
    nibabel.save(reorder(np.array(voxels), np.eye(4), "LPI"), path)
    pixels = read_volume(path, make_options(axis, "1:5:2", percentiles=WHOLE_RANGE))
    assert pixels[:, 0, 0].tolist() == [64, 191]


@pytest.mark.parametrize("codes", ["RAS", "PIR", "LSA"])
@pytest.mark.parametrize("axis", list(Axis))
def test_levels_are_those_of_nibabels_volume(tmp_path: Path, codes: str, axis: Axis) -> None:
    path = tmp_path / "1.nii.gz"
    image = reorder(VOXELS, np.diag([2, 1, 3, 1]), codes)
    image.header.set_slope_inter(0.5, -20)
    nibabel.save(image, path)

    values = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()
    low, high = np.percentile(values, (0.5, 99.5))
    levels = np.rint(((values - low) / (high - low)).clip(0, 1) * 255)
    expected = np.moveaxis(levels, volume_file.AXIS_NUMBERS[axis], 0)
    if axis is Axis.SAGITTAL:
        expected = expected[:, ::-1]
    else:
        expected = expected.transpose(0, 2, 1)[:, ::-1, ::-1]
    np.testing.assert_array_equal(read_volume(path, make_options(axis, "0:5")), expected[:5])


def test_negative_slope_turns_the_levels(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    positive = read_volume(path, make_options())
    data = bytearray(path.read_bytes())
    data[112:116] = np.float32(-1).tobytes()  # scl_slope
    other_path = tmp_path / "2.nii"
    other_path.write_bytes(data)
    np.testing.assert_array_equal(read_volume(other_path, make_options()), 255 - positive)


def test_percentiles_option_replaces_the_default(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    notes = Counter[str]()
    pixels = read_volume(path, make_options(slices="0:7", percentiles=(20, 60)), notes)
    low, high = np.percentile(VOXELS, (20, 60))
    np.testing.assert_array_equal(
        (pixels == 0).sum(), (low + 0.5 * (high - low) / 255 >= VOXELS).sum()
    )
    assert list(notes.values()) == [7]


def test_window_option_is_taken_for_volumes(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    pixels = read_volume(path, make_options(slices="0:7", window=(500, 2)))
    assert (pixels == 255).sum() == (VOXELS > 500).sum()


@pytest.mark.parametrize("levels", [{"percentiles": WHOLE_RANGE}, {"window": (0.5, 1)}])
def test_voxels_that_are_not_finite_are_black(tmp_path: Path, levels: dict[str, Any]) -> None:
    voxels = np.linspace(0, 1, 64, dtype=np.float32).reshape(4, 4, 4)
    voxels[0, 0, 0] = np.nan
    voxels[1, 0, 0] = np.inf
    voxels[2, 0, 0] = -np.inf
    path = write_volume(tmp_path / "1.nii", voxels)
    notes = Counter[str]()
    pixels = read_volume(path, make_options(slices="0:4", **levels), notes)
    assert pixels[0, -1, ::-1].tolist() == [0, 0, 0, pixels[0, -1, 0]]
    assert pixels[0, -1, 0] > 0
    assert [count for note, count in notes.items() if "infinite" in note] == [1]


def test_voxels_beyond_any_number_are_refused(tmp_path: Path) -> None:
    volume = Nifti1Image(np.repeat([-1e308, 1e308], 32).reshape(4, 4, 4), np.eye(4))
    volume.to_filename(tmp_path / "1.nii")
    with pytest.raises(ImageError) as error:
        read_volume(tmp_path / "1.nii", make_options(slices="0:4", percentiles=WHOLE_RANGE))
    assert error.value.kind == "of a wrong scaling"


@pytest.mark.parametrize("name", ["1.nii", "1.nii.gz", "1.NII", "1.hdr"])
def test_volume_in_a_zip_reads_as_outside(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "set" / "a"
    path = write_volume(folder / name.lower(), VOXELS)
    with ZipFile(tmp_path / "set.zip", "w", ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"a/{file.stem}{file.suffix if '.NII' not in name else '.NII'}")
    member = ZipMember(tmp_path / "set.zip", f"a/{name}")
    np.testing.assert_array_equal(
        read_volume(member, make_options()), read_volume(path, make_options())
    )


@pytest.mark.parametrize("suffixes", [(".hdr", ".img"), (".HDR", ".IMG"), (".hdr", ".IMG")])
def test_analyze_begins_at_the_right(tmp_path: Path, suffixes: tuple[str, str]) -> None:
    write_volume(tmp_path / "1.hdr", VOXELS)
    (tmp_path / "1.hdr").rename(tmp_path / f"2{suffixes[0]}")
    (tmp_path / "1.img").rename(tmp_path / f"2{suffixes[1]}")
    path = tmp_path / f"2{suffixes[0]}"

    nifti = write_volume(tmp_path / "1.nii", VOXELS, np.diag([-1, 1, 1, 1]))
    slices = list_slices(path, make_options())
    assert slices[0].is_assumed
    np.testing.assert_array_equal(
        read_volume(path, make_options()), read_volume(nifti, make_options())
    )


def test_analyze_in_big_endian_reads_the_same(tmp_path: Path) -> None:
    little = write_volume(tmp_path / "1.hdr", VOXELS)
    header = AnalyzeHeader(endianness=">")
    header.set_data_dtype(np.int16)
    header.set_data_shape(SHAPE)
    (tmp_path / "2.hdr").write_bytes(header.binaryblock)
    (tmp_path / "2.img").write_bytes(VOXELS.astype(">i2").tobytes(order="F"))
    np.testing.assert_array_equal(
        read_volume(tmp_path / "2.hdr", make_options()), read_volume(little, make_options())
    )


@pytest.mark.parametrize("image_class", [Nifti1Image, Nifti2Image])
def test_nifti_in_big_endian_reads_the_same(tmp_path: Path, image_class: type) -> None:
    image = image_class(VOXELS, np.eye(4))
    swapped = image_class(VOXELS, np.eye(4), image.header.as_byteswapped(">"))
    nibabel.save(swapped, tmp_path / "1.nii")
    little = write_volume(tmp_path / "2.nii", VOXELS)
    np.testing.assert_array_equal(
        read_volume(tmp_path / "1.nii", make_options()), read_volume(little, make_options())
    )


def test_analyze_with_another_order_says_so(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.hdr", VOXELS)
    assert not list_slices(path, make_options())[0].has_other_order
    data = bytearray(path.read_bytes())
    data[252] = 2  # orient: sagittal
    path.write_bytes(data)
    assert list_slices(path, make_options())[0].has_other_order


@pytest.mark.parametrize(("code", "is_assumed"), [("qform_code", False), ("sform_code", False),
                                                   ("", True)])  # fmt: skip
def test_nifti_without_a_matrix_is_assumed(tmp_path: Path, code: str, is_assumed: bool) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    data = path.read_bytes()
    header = Nifti1Header(data[:348])
    for name in ("qform_code", "sform_code"):
        header[name] = int(name == code)
    path.write_bytes(header.binaryblock + data[348:])
    assert list_slices(path, make_options())[0].is_assumed is is_assumed


@pytest.mark.parametrize("image_class", [Nifti1Image, Nifti2Image])
def test_fourth_axis_of_1_is_dropped(tmp_path: Path, image_class: type) -> None:
    path = tmp_path / "1.nii.gz"
    nibabel.save(image_class(VOXELS[..., None], np.eye(4)), path)
    plain = write_volume(tmp_path / "2.nii", VOXELS)
    np.testing.assert_array_equal(
        read_volume(path, make_options()), read_volume(plain, make_options())
    )


def test_nifti_in_two_files_reads_as_in_one(tmp_path: Path) -> None:
    nibabel.save(Nifti1Pair(VOXELS, np.eye(4)), tmp_path / "2.img")
    plain = write_volume(tmp_path / "1.nii", VOXELS)
    np.testing.assert_array_equal(
        read_volume(tmp_path / "2.hdr", make_options()), read_volume(plain, make_options())
    )


def test_real_volume_has_the_levels_of_nibabel() -> None:
    path = VOLUME_FOLDER / "anatomical.nii"
    values = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()
    low, high = np.percentile(values, (0.5, 99.5))
    levels = np.rint(((values - low) / (high - low)).clip(0, 1) * 255)
    pixels = read_volume(path, make_options(slices="3:4"))
    np.testing.assert_array_equal(pixels[0], levels[:, :, 3].T[::-1, ::-1])


@pytest.mark.parametrize("name", ["standard.nii.gz", "reoriented_anat_moved.nii"])
def test_real_volume_is_readable(name: str) -> None:
    assert read_volume(VOLUME_FOLDER / name, make_options(slices="1:3")).shape[0] == 2


@pytest.mark.parametrize("name", ["example4d.nii.gz", "functional.nii", "example_nifti2.nii.gz"])
def test_real_series_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match="three axes"):
        list_slices(VOLUME_FOLDER / name, make_options())


@pytest.mark.parametrize("name", ["analyze.hdr", "nifti1.hdr", "nifti2.hdr"])
def test_real_header_alone_has_no_voxels(name: str) -> None:
    with pytest.raises(ImageError, match=r"\.img"):
        list_slices(VOLUME_FOLDER / name, make_options())


def test_missing_slices_option_names_the_count(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    with pytest.raises(ArgumentError, match=r"6 coronal .*--slices START:STOP"):
        list_slices(path, PixelOptions(axis=Axis.CORONAL))


def test_slices_beyond_the_volume_name_what_helps(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    assert len(list_slices(path, make_options(slices="5:7"))) == 2
    with pytest.raises(ImageError, match=r"\b7 axial .*\b8\b.*--slices 5:8.*--exclude"):
        list_slices(path, make_options(slices="5:8"))


def test_data_file_without_a_header_is_a_fault(tmp_path: Path) -> None:
    write_volume(tmp_path / "1.hdr", VOXELS)
    (tmp_path / "1.hdr").unlink()
    with pytest.raises(ImageError, match=r"\.hdr"):
        list_slices(tmp_path / "1.img", make_options())


def edit_header(**fields: object) -> Callable[[Nifti1Header], None]:
    """Return a function that sets fields of a header."""

    def edit(header: Nifti1Header) -> None:
        for name, value in fields.items():
            header[name] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "kind"),
    [
        (edit_header(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "too large"),
        (edit_header(dim=[3, -5, 6, 7, 1, 1, 1, 1]), "no volume"),
        (edit_header(dim=[2, 5, 42, 1, 1, 1, 1, 1]), "no volume"),
        (edit_header(dim=[3, 5, 6, 0, 1, 1, 1, 1]), "no volume"),
        (edit_header(dim=[3, 50, 60, 70, 1, 1, 1, 1]), "cut short"),
        (edit_header(dim=[-1, 5, 6, 7, 1, 1, 1, 1]), "unreadable"),
        (edit_header(dim=[99, 5, 6, 7, 1, 1, 1, 1]), "unreadable"),
        (edit_header(datatype=128, bitpix=24), "of colours"),
        (edit_header(datatype=32, bitpix=64), "of another kind of voxel"),
        (edit_header(datatype=1, bitpix=1), "unreadable"),
        (edit_header(datatype=77), "unreadable"),
        (edit_header(vox_offset=2**26 + 16), "unreadable"),
        (edit_header(vox_offset=1e30), "unreadable"),
        (edit_header(vox_offset=np.nan), "unreadable"),
        (edit_header(scl_slope=2, scl_inter=np.nan), "unreadable"),
        (edit_header(srow_x=[0, 0, 0, 0]), "without an orientation"),
        (edit_header(srow_x=[np.nan, 0, 0, 0]), "without an orientation"),
    ],
)
def test_faulty_header_is_named(
    tmp_path: Path, edit: Callable[[Nifti1Header], None], kind: str
) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    data = path.read_bytes()
    header = Nifti1Header(data[:348], check=False)
    edit(header)
    path.write_bytes(header.binaryblock + data[348:])
    with pytest.raises(ImageError) as error:
        read_volume(path, make_options())
    assert error.value.kind == kind


def test_analyze_with_an_infinite_calibration_is_refused(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.hdr", VOXELS)
    header = Spm2AnalyzeHeader(path.read_bytes())
    header["scl_slope"] = 0
    header["glmax"] = 999
    header["cal_max"] = 1.5
    path.write_bytes(header.binaryblock)
    read_volume(path, make_options())
    header["cal_max"] = np.inf
    path.write_bytes(header.binaryblock)
    with pytest.raises(ImageError) as error:
        list_slices(path, make_options())
    assert error.value.kind == "of a wrong scaling"


@pytest.mark.parametrize("size", [0, 3, 100, 348, 351, 360, -1])
@pytest.mark.parametrize("name", ["1.nii", "1.nii.gz", "1.hdr", "1.img"])
def test_truncated_volume_is_an_image_error(tmp_path: Path, name: str, size: int) -> None:
    path = write_volume(tmp_path / name.replace(".img", ".hdr"), VOXELS)
    file = tmp_path / name
    whole_data = file.read_bytes()
    file.write_bytes(whole_data[:size])
    if (name == "1.hdr" and size == 348) or len(whole_data[:size]) == len(whole_data):
        read_volume(path, make_options())
        return
    with pytest.raises(ImageError):
        read_volume(path, make_options())


def test_damaged_gzip_is_an_image_error(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii.gz", VOXELS)
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # of the checksum
    path.write_bytes(data)
    with pytest.raises(ImageError, match="CRC"):
        read_volume(path, make_options())


def test_gzip_bomb_is_read_as_far_as_its_header_says(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    with gzip.open(tmp_path / "2.nii.gz", "wb") as file:
        file.write(path.read_bytes())
        file.write(bytes(2**24))
    np.testing.assert_array_equal(
        read_volume(tmp_path / "2.nii.gz", make_options()), read_volume(path, make_options())
    )


def test_missing_voxels_take_no_memory(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    data = bytearray(path.read_bytes())
    data[40:48] = np.array([3, 800, 800, 800], np.int16).tobytes()
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ImageError, match="cut short"):
        read_volume(path, make_options())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**26


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1024, 1024, 1024), np.uint8), ((512, 512, 2048), np.int16)]
)
def test_check_bytes_takes_a_volume_at_the_limit(shape: tuple[int, ...], dtype: type) -> None:
    check_bytes(shape, np.dtype(dtype), Path("1.nii.gz"))
    with pytest.raises(ImageError, match="1024 MiB"):
        check_bytes((*shape[:2], shape[2] + 1), np.dtype(dtype), Path("1.nii.gz"))


@pytest.mark.parametrize("n_extra_bytes", [0, 1])
def test_volume_at_its_limit_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_extra_bytes: int
) -> None:
    """What a .nii.gz holds behind its voxels does not count."""
    monkeypatch.setattr(volume_file, "MAX_VOLUME_BYTES", VOXELS.nbytes)
    path = tmp_path / "1.nii.gz"
    plain = write_volume(tmp_path / "1.nii", VOXELS)
    path.write_bytes(gzip.compress(plain.read_bytes() + bytes(n_extra_bytes)))
    assert len(read_volume(path, make_options())) == 5


def test_volume_over_its_limit_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume_file, "MAX_VOLUME_BYTES", VOXELS.nbytes - 1)
    path = write_volume(tmp_path / "1.nii.gz", VOXELS)
    with pytest.raises(ImageError, match="too large"):
        list_slices(path, make_options())


def test_check_slice_takes_8192_by_8192_voxels() -> None:
    check_slice(8192 * 8192, Path("1.nii"))
    with pytest.raises(ImageError, match="too large"):
        check_slice(8192 * 8192 + 1, Path("1.nii"))


def test_slice_at_its_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_file, "MAX_SLICE_VOXELS", 5 * 6)
    path = write_volume(tmp_path / "1.nii", VOXELS)
    assert len(list_slices(path, make_options(Axis.AXIAL))) == 5
    with pytest.raises(ImageError, match="35 voxels in a slice"):
        list_slices(path, make_options(Axis.CORONAL))


@pytest.mark.parametrize("value", [0, 7])
def test_constant_volume_is_refused(tmp_path: Path, value: int) -> None:
    path = write_volume(tmp_path / "1.nii", np.full(SHAPE, value, np.int16))
    with pytest.raises(ImageError, match="one grey level"):
        read_volume(path, make_options())


def test_volume_of_no_number_is_empty(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii", np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(ImageError, match="empty"):
        read_volume(path, make_options())


def test_slices_of_a_volume_come_from_one_reading(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "1.nii", VOXELS)
    slices = list_slices(path, make_options())
    first = slices[0].read(Counter())
    shutil.rmtree(tmp_path)
    assert slices[1].read(Counter()).shape == first.shape


def test_list_slices_of_a_wrong_header_logs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = bytearray(Nifti1Image(VOXELS, np.eye(4)).to_bytes())
    data[108:112] = np.float32(-5).tobytes()  # where the voxels begin
    path = tmp_path / "1.nii"
    path.write_bytes(data)
    with pytest.raises(ImageError, match="vox offset"):
        list_slices(path, make_options())
    assert caplog.records == []
