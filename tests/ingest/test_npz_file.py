"""Images of .npz files as MedMNIST writes them, and of files that look like these."""

import io
import re
import struct
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mri_stages.errors import InputError
from mri_stages.ingest import bounded_bytes, npz_file
from mri_stages.ingest.image_set import DARK_NOTE, ImageSet
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.ingest.npz_file import list_npz_images

N_ROWS = {"train": 12, "val": 4, "test": 6}
OPTIONS = ImportOptions()
RNG = np.random.default_rng(0)


def make_arrays(shape: tuple[int, ...] = (5, 4), splits: Any = N_ROWS) -> dict[str, Any]:
    """Return arrays of random images of three classes."""
    arrays: dict[str, NDArray[Any]] = {}
    for split in splits:
        n_rows = N_ROWS[split]
        arrays[f"{split}_images"] = RNG.integers(0, 256, (n_rows, *shape), np.uint8)
        arrays[f"{split}_labels"] = np.arange(n_rows, dtype=np.uint8)[:, None] % 3
    return arrays


def write_npz(folder: Path, arrays: dict[str, Any], save: Any = np.savez) -> Path:
    path = folder / "set.npz"
    save(path, **arrays)
    return path


def list_set(folder: Path, arrays: dict[str, Any], save: Any = np.savez) -> ImageSet:
    return list_npz_images(write_npz(folder, arrays, save), OPTIONS)


def refuse(path: Path) -> str:
    """Return the line with which the import of a file ends."""
    with pytest.raises(InputError) as error:
        list_npz_images(path, OPTIONS)
    assert "set.npz" in str(error.value)
    return str(error.value)


def read_pixels(image_set: ImageSet, name: str) -> NDArray[np.uint8]:
    file = next(file for file in image_set.files if file.name == name)
    return file.picture.read(Counter())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("name", ["train_images:11", "val_images:0", "test_images:3"])
def test_npz_gives_grey_pixels(tmp_path: Path, save: Any, name: str) -> None:
    arrays = make_arrays()
    array, row = name.split(":")
    pixels = read_pixels(list_set(tmp_path, arrays, save), name)
    np.testing.assert_array_equal(pixels, np.stack([arrays[array][int(row)]] * 3))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_gives_colour_pixels(tmp_path: Path, save: Any) -> None:
    arrays = make_arrays((5, 4, 3))
    pixels = read_pixels(list_set(tmp_path, arrays, save), "test_images:3")
    np.testing.assert_array_equal(pixels, arrays["test_images"][3].transpose(2, 0, 1))


def test_npz_of_one_channel_is_grey(tmp_path: Path) -> None:
    arrays = make_arrays((5, 4, 1))
    pixels = read_pixels(list_set(tmp_path, arrays), "test_images:3")
    np.testing.assert_array_equal(pixels, np.stack([arrays["test_images"][3, :, :, 0]] * 3))


def test_npz_gives_each_row_its_label(tmp_path: Path) -> None:
    arrays = make_arrays()
    image_set = list_set(tmp_path, arrays)
    for file in image_set.files:
        split, row = file.name.replace("_images", "").split(":")
        assert file.label == arrays[f"{split}_labels"][int(row), 0]


def test_npz_names_classes_by_their_labels(tmp_path: Path) -> None:
    assert list_set(tmp_path, make_arrays()).classes == ["0", "1", "2"]


def test_npz_orders_classes_as_numbers(tmp_path: Path) -> None:
    arrays = make_arrays()
    for split in N_ROWS:
        arrays[f"{split}_labels"] = arrays[f"{split}_labels"] * 5
    assert list_set(tmp_path, arrays).classes == ["0", "5", "10"]


def test_npz_takes_flat_labels(tmp_path: Path) -> None:
    arrays = make_arrays()
    arrays["train_labels"] = arrays["train_labels"][:, 0].astype(np.int64)
    assert len(list_set(tmp_path, arrays).files) == sum(N_ROWS.values())


@pytest.mark.parametrize(
    ("splits", "counts"),
    [
        (("train", "val", "test"), {"train": 16, "test": 6}),
        (("train", "val"), {"train": 12, "test": 4}),
        (("train", "test"), {"train": 12, "test": 6}),
        (("train",), {"": 12}),
    ],
)
def test_npz_joins_val_to_train_or_test(
    tmp_path: Path, splits: tuple[str, ...], counts: dict[str, int]
) -> None:
    image_set = list_set(tmp_path, make_arrays(splits=splits))
    assert Counter(file.split for file in image_set.files) == counts
    assert any("for validation" in note for note in image_set.notes) == ("val" in splits)


def test_npz_notes_other_arrays(tmp_path: Path) -> None:
    arrays = {**make_arrays(), "extra": np.zeros(3)}
    assert "1 other arrays left out" in list_set(tmp_path, arrays).notes


@pytest.mark.parametrize(
    ("array", "values", "text"),
    [
        ("train_labels", np.zeros((12, 14), np.uint8), "14 labels per image"),
        ("train_labels", np.zeros((12, 5, 4), np.uint8), "segmentation masks"),
        ("train_labels", np.zeros((12, 1)), "expected whole numbers"),
        ("train_labels", np.zeros((11, 1), np.uint8), "12 train_images and 11 train_labels"),
        ("train_labels", np.array(["a"] * 12), "expected whole numbers"),
        ("train_labels", np.array([None] * 12), "Python objects"),
        ("train_images", np.array([None] * 12), "Python objects"),
        ("train_images", np.zeros((12, 5, 5, 5), np.uint8), "volumes"),
        ("train_images", np.zeros((12, 3, 5, 5), np.uint8), "channels first"),
        ("train_images", np.zeros((12, 5, 4), np.float32), "expected uint8"),
        ("train_images", np.zeros((12, 20), np.uint8), "no images"),
        ("train_images", np.zeros((12, 0, 4), np.uint8), "expected rows"),
        ("train_images", np.asfortranarray(np.zeros((12, 5, 4), np.uint8)), "Fortran"),
        ("test_labels", np.full((6, 1), 7, np.uint8), "in train or in test only"),
        ("test_labels", np.array([[0], [1]] * 3, np.uint8), "1 labels, such as 2"),
    ],
)
def test_npz_of_other_arrays_says_what_they_are(
    tmp_path: Path, array: str, values: NDArray[Any], text: str
) -> None:
    path = write_npz(tmp_path, {**make_arrays(), array: values})
    assert text in refuse(path)


def test_npz_of_one_class_is_refused(tmp_path: Path) -> None:
    arrays = make_arrays()
    for split in N_ROWS:
        arrays[f"{split}_labels"] = np.zeros_like(arrays[f"{split}_labels"])
    assert "1 classes" in refuse(write_npz(tmp_path, arrays))


def test_npz_without_labels_names_the_array(tmp_path: Path) -> None:
    arrays = make_arrays()
    del arrays["val_labels"]
    assert "no array val_labels" in refuse(write_npz(tmp_path, arrays))


def test_npz_of_other_names_lists_them(tmp_path: Path) -> None:
    assert "x_train, y_train" in refuse(
        write_npz(tmp_path, {"x_train": np.zeros(3), "y_train": np.zeros(3)})
    )


def test_npz_with_a_table_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path, make_arrays())
    with pytest.raises(InputError, match="--table"):
        list_npz_images(path, ImportOptions(table=Path("labels.csv")))


@pytest.mark.parametrize("n_bytes", [0, 10, 100, 400])
def test_npz_that_is_cut_is_named(tmp_path: Path, n_bytes: int) -> None:
    path = write_npz(tmp_path, make_arrays())
    path.write_bytes(path.read_bytes()[:n_bytes])
    assert "not a whole .npz" in refuse(path)


def write_header(shape: str, n_value_bytes: int = 240) -> bytes:
    """Return an .npy file of uint8 that says it is of `shape`."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header = header.ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(n_value_bytes)


@pytest.mark.parametrize(
    "shape",
    [
        "(2147483648, 5, 4)",
        "(12, 2147483648, 2147483648)",
        "(-12, 5, 4)",
        "(13, 5, 4)",
    ],
)
def test_npz_with_a_wrong_size_in_a_header_is_refused(tmp_path: Path, shape: str) -> None:
    path = write_npz(tmp_path, {**make_arrays(splits=("val", "test"))})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train_images.npy", write_header(shape))
        archive.writestr("train_labels.npy", write_header("(12, 1)", 12))
    assert "train_images" in refuse(path)


@pytest.mark.parametrize(
    "header", [b"", b"\x93NUMPY\x09\x00", b"\x93NUMPY\x01\x00\xff\xff{", write_header("__import__")]
)
def test_npz_with_a_damaged_header_is_named(tmp_path: Path, header: bytes) -> None:
    path = write_npz(tmp_path, make_arrays(splits=("val", "test")))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train_images.npy", header)
        archive.writestr("train_labels.npy", write_header("(12, 1)", 12))
    assert "not a whole .npz" in refuse(path)


def write_bomb(path: Path, n_rows: int) -> None:
    """Write images of zeros, compressed some hundredfold, with a label each."""
    zeros = bytes(2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("train_images.npy", "w", force_zip64=True) as file:
            file.write(write_header(f"({n_rows}, 1024, 1024)", 0))
            for _ in range(n_rows):
                file.write(zeros)
        labels = np.arange(n_rows)[:, None] % 2
        data = io.BytesIO()
        np.save(data, labels)
        archive.writestr("train_labels.npy", data.getvalue())


def test_npz_of_very_many_zeros_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    write_bomb(path, 257)
    tracemalloc.start()
    assert "is compressed" in refuse(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24


def test_npz_of_zeros_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    write_bomb(path, 60)
    tracemalloc.start()
    list_npz_images(path, OPTIONS).files[0].picture.read(Counter())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**25


def test_npz_with_a_flipped_value_is_refused_when_read(tmp_path: Path) -> None:
    arrays = make_arrays()
    path = write_npz(tmp_path, arrays)
    data = path.read_bytes()
    position = re.search(re.escape(arrays["train_images"].tobytes()), data)
    assert position is not None
    changed = bytearray(data)
    changed[position.start()] ^= 1
    path.write_bytes(changed)
    with pytest.raises(InputError, match="CRC"):  # of small arrays already when they are listed
        read_pixels(list_npz_images(path, OPTIONS), "train_images:5")


def hide_size(path: Path, name: str, claimed_size: int) -> None:
    """Let the zip say another unpacked size of a member."""
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(name).file_size
    sizes = (struct.pack("<L", size), struct.pack("<L", claimed_size))
    path.write_bytes(path.read_bytes().replace(*sizes))


def measure_refusal(path: Path) -> tuple[str, int]:
    """Return the line with which an import ends, and the peak of its memory."""
    tracemalloc.start()
    text = refuse(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return text, peak


def write_deflated(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def test_npz_of_labels_that_hide_a_bomb_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_bytes, "PART_BYTES", 2**18)
    path = tmp_path / "set.npz"
    labels = write_header("(12, 1)", 2**22)
    write_deflated(path, train_images=write_header("(12, 5, 4)"), train_labels=labels)
    hide_size(path, "train_labels.npy", len(write_header("(12, 1)", 12)))
    text, peak = measure_refusal(path)
    assert "CRC" in text
    assert peak < 2**21


def test_npz_header_that_says_it_is_long_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    header = b"\x93NUMPY\x02\x00" + struct.pack("<L", 2**32 - 1) + bytes(2**22)
    write_deflated(path, train_images=header, train_labels=write_header("(12, 1)", 12))
    text, peak = measure_refusal(path)
    assert "not a whole .npz" in text
    assert peak < 2**21


@pytest.mark.parametrize(
    ("method", "name"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")]
)
def test_npz_of_a_method_without_a_limit_is_refused(tmp_path: Path, method: int, name: str) -> None:
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("train_images.npy", bytes(2**20))
    text, peak = measure_refusal(path)
    assert f"compressed by {name}" in text
    assert peak < 2**18


@pytest.mark.parametrize(("n_images", "is_refused"), [(50, False), (51, True)])
def test_npz_has_a_largest_number_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_images: int, is_refused: bool
) -> None:
    monkeypatch.setattr(npz_file, "MAX_IMAGES", 50)
    images = np.zeros((n_images, 1, 1), np.uint8)
    labels = np.arange(n_images)[:, None] % 2
    path = write_npz(tmp_path, {"train_images": images, "train_labels": labels})
    if is_refused:
        assert "more than 50 images" in refuse(path)
    else:
        assert len(list_npz_images(path, OPTIONS).files) == n_images


def test_npz_with_fewer_values_than_it_says_is_refused_when_read(tmp_path: Path) -> None:
    # The zip and the header say 6,000 rows; the stream of 5,999 rows and its checksum are whole.
    path = tmp_path / "set.npz"
    data = write_header("(6000, 5, 4)", 5999 * 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train_images.npy", data)
        labels = io.BytesIO()
        np.save(labels, np.arange(6000)[:, None] % 2)
        archive.writestr("train_labels.npy", labels.getvalue())
    hide_size(path, "train_images.npy", len(data) + 20)

    image_set = list_npz_images(path, OPTIONS)
    with pytest.raises(InputError, match="cut short"):
        read_pixels(image_set, "train_images:0")


def test_list_npz_images_of_nested_header_ends_in_a_line(tmp_path: Path) -> None:
    header = b"(" * 9000 + b"\n"
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
        archive.writestr("train_images.npy", start + header)
        archive.writestr("train_labels.npy", b"")
    assert "not a whole .npz file" in refuse(path)


def test_list_npz_images_of_two_equal_names_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path, make_arrays())
    with zipfile.ZipFile(path, "a") as archive:
        labels = archive.read("train_labels.npy")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("train_labels.npy", labels)
    assert "two arrays train_labels" in refuse(path)


def test_dark_images_are_noted(tmp_path: Path) -> None:
    arrays = make_arrays()
    arrays["test_images"] //= 128
    notes = Counter[str]()
    for file in list_set(tmp_path, arrays).files:
        file.picture.read(notes)
    assert notes == {DARK_NOTE: N_ROWS["test"]}
