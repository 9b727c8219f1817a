"""Archives and images that are unusual, wrong or hostile: the right pixels, or an InputError."""

import os
import random
import stat
import struct
import warnings
import zipfile
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.cli import InputError
from src.data.image_folder import list_images, opened, read_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (8, 6), np.uint8)
COLOUR = RNG.integers(0, 256, (8, 6, 3), np.uint8)
OPAQUE = np.dstack([COLOUR, np.full((8, 6), 255, np.uint8)])
FILES = [f"{split}/{name}/{i}.png" for split in ("train", "test") for name in "ab" for i in "01"]


def encoded(image: Image.Image | np.ndarray, kind: str = "png", **options: Any) -> bytes:
    file = BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(file, kind, **options)
    return file.getvalue()


PNG = encoded(GREY)
JPEG = encoded(COLOUR, "jpeg")


def write_zip(path: Path, **changed: bytes | None) -> Path:
    """Write a good set as a zip, except for the members `changed` (None: left out)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**dict.fromkeys(FILES, PNG), **changed}.items():
            if data is not None:
                archive.writestr(name, data)
    return path


def flipped(data: bytes, place: int, bits: int = 1) -> bytes:
    changed = bytearray(data)
    changed[place] ^= bits
    return bytes(changed)


def listed(source: Path) -> tuple[dict[str, list[tuple[str, int]]], list[str], list[str]]:
    """Return the file names and labels by split, the classes, and the files left out."""
    with opened(source) as tree:
        files, classes, left_out = list_images(tree, source)
        for file in (file for of_split in files.values() for file in of_split):
            np.testing.assert_array_equal(read_image(file.path), np.stack([GREY] * 3))
    names = {split: [(file.path.name, file.label) for file in files[split]] for split in files}
    return names, classes, left_out


def refusal(source: Path) -> str:
    with pytest.raises((InputError, OSError)) as error:
        listed(source)
    assert str(source) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("inside", ["", "Some Dataset/"])
def test_list_images_of_a_zip_or_folder_sorts_by_class_and_name(
    tmp_path: Path, inside: str
) -> None:
    junk = ["__MACOSX/train/a/._0.png", f"{inside}train/a/Thumbs.db", f"{inside}train/.DS_Store",
            f"{inside}test/.old/0.png", f"{inside}test/b/readme.txt", "old.zip"]  # fmt: skip
    images = [f"{inside}{file}" for file in (*reversed(FILES), "train/a/10.JPG")]
    members = {**dict.fromkeys(FILES), **dict.fromkeys(images, PNG), **dict.fromkeys(junk, b"x")}
    path = write_zip(tmp_path / "set.zip", **members)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "set")
    test = [("0.png", 0), ("1.png", 0), ("0.png", 1), ("1.png", 1)]
    for source in (path, tmp_path / "set"):
        names, classes, left_out = listed(source)
        assert names == {"train": [test[0], test[1], ("10.JPG", 0), *test[2:]], "test": test}
        assert classes == ["a", "b"]
        assert sorted(left_out) == sorted(junk)
    too_deep = tmp_path / f"set/{inside}train/a/more/9.png"
    too_deep.parent.mkdir()
    too_deep.write_bytes(PNG)
    assert "train/a/more/9.png" in refusal(tmp_path / "set")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        *(({name: PNG}, name) for name in (
            "../train/a/9.png", "train/a/../../../9.png", "/train/a/9.png", "C:/train/a/9.png",
            "train/a//9.png", "train/9.png", "train/a/more/9.png")),
        *(({"train/c/9.png": PNG}, "only: c"), ({"test/A/9.png": PNG}, "only: A")),
        *(({"train/c\u0301/9.txt": b""}, "only: \u0107"), ({"train/c\x07/9.png": PNG}, r"c\x07")),
        ({"test/a/9\x1b[2J.png": PNG}, r"test/a/9\x1b[2J.png"),
        ({"train/a/0.png": None, "train/a/1.png": None, "train/a/x.txt": b""}, "train/a"),
        ({"train/a/0.png": None, "train/a/1.png": None}, "only: a"),
        ({name: None for name in FILES if "/b/" in name}, "1 classes"),
        ({name: None for name in FILES if "test" in name}, "train"),
        ({**dict.fromkeys(FILES), "set.zip": PNG}, "no folder"),  # a zip in the zip
    ],
)  # fmt: skip
def test_list_images_of_another_layout_says_what_was_found(
    tmp_path: Path, changed: dict[str, bytes | None], named: str
) -> None:
    assert named in refusal(write_zip(tmp_path / "set.zip", **changed))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_opened_of_a_double_linked_or_encrypted_member_or_no_zip_names_it(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip")
    good = path.read_bytes()
    link = zipfile.ZipInfo("train/b/9.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    for member in (link, zipfile.ZipInfo("train/b/0.png")):
        path.write_bytes(good)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(member, "../../../secret.png")
        assert member.filename in refusal(path)
    path.write_bytes(flipped(good, good.index(b"PK\x01\x02") + 8))  # says that it is encrypted
    assert "train/a/0.png" in refusal(path)
    path.write_text("not a zip")
    refusal(path)
    refusal(tmp_path / "gone.zip")


def test_list_images_of_one_name_stored_in_two_ways_is_one_class(tmp_path: Path) -> None:
    composed, decomposed = "D\u00e9mence", "De\u0301mence"
    members = dict.fromkeys((f"train/{composed}/0.png", f"test/{decomposed}/0.png"), PNG)
    path = write_zip(tmp_path / "set.zip", **members)
    assert listed(path)[1] == [composed, "a", "b"]
    write_zip(path, **members, **{f"train/{decomposed}/0.png": PNG})
    assert r"D\xe9mence" in refusal(path)


def test_list_images_of_circular_links_ends_and_of_a_pipe_names_it(tmp_path: Path) -> None:
    source = tmp_path / "set"
    with zipfile.ZipFile(write_zip(tmp_path / "set.zip")) as archive:
        archive.extractall(source)
    for name in ("again", "and_again"):  # two: each level has twice as many folders
        (source / name).symlink_to(source)
    assert len(listed(source)[0]["train"]) == 4
    odd = source / "train/a/9.png"
    os.mkfifo(odd)
    assert "9.png" in refusal(source)
    odd.unlink()
    odd.symlink_to("gone.png")
    assert "9.png" in refusal(source)


def test_opened_of_flipped_bytes_is_the_same_set_or_an_error(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip")
    good, rng = path.read_bytes(), random.Random(0)
    for number in range(200):
        data = good[: rng.randrange(len(good))] if number % 2 else good
        for _ in range(rng.randint(1, 8) if data else 0):
            data = flipped(data, rng.randrange(len(data)), rng.randrange(256))
        path.write_bytes(data)
        with suppress(InputError, OSError), warnings.catch_warnings(action="ignore"):
            listed(path)  # compares the pixels


def png_chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def png_that_says(height: int, width: int, bits: int, values: bytes) -> bytes:
    """Return an RGB PNG with these values in its header, valid otherwise."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    return PNG[:8] + header + png_chunk(b"IDAT", zlib.compress(values)) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        *(b"plain text", b"", PNG[:60], JPEG[:-100], JPEG[:300]),
        *(flipped(PNG, place) for place in (len(PNG) // 2, -14)),  # -14: where loading is done
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 8\n%%EndComments\nshowpage\n",  # a program
        *(encoded(GREY, exif=b"Exif\0\0broken"), encoded(GREY, "gif"), encoded(GREY, "tiff")),
        encoded(GREY.astype(np.uint16) * 257),  # 16 bits of grey and of RGB
        png_that_says(8, 6, 16, 8 * (b"\0" + bytes(6 * 6))),
        PNG[:8] + png_chunk(b"teSt", bytes(20)) + PNG[8:],  # IHDR, with the depth, is not first
        encoded(np.where(OPAQUE.max() == OPAQUE, 254, OPAQUE).astype(np.uint8)),
        encoded(GREY, transparency=int(GREY[3, 3])),
        png_that_says(60000, 60000, 8, b""),  # few bytes that would take much memory
    ],
)
def test_read_image_of_anything_else_names_the_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "1.png").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("1.png", data)
    for path in (tmp_path / "1.png", zipfile.Path(tmp_path / "set.zip", "1.png")):
        with pytest.raises(InputError, match=r"1\.png: "):
            read_image(path)


CMYK = Image.fromarray(COLOUR).convert("CMYK")
TURNED = Image.Exif()
TURNED[0x0112] = 6  # orientation: to be shown turned by a quarter


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (PNG, np.dstack([GREY] * 3)),
        *((encoded(image), COLOUR) for image in (COLOUR, OPAQUE)),
        (encoded(Image.fromarray(GREY).quantize(colors=256)), np.dstack([GREY] * 3)),
        (encoded(GREY > 100), np.dstack([255 * (GREY > 100)] * 3)),
        (JPEG, np.asarray(Image.open(BytesIO(JPEG)))),
        (encoded(COLOUR, "jpeg", progressive=True), np.asarray(Image.open(BytesIO(JPEG)))),
        (encoded(CMYK, "jpeg", quality=100), np.asarray(CMYK.convert("RGB"))),
        (encoded(np.rot90(COLOUR), exif=TURNED), COLOUR),
    ],
)
def test_read_image_of_8_bits_gives_what_a_viewer_shows(
    tmp_path: Path, data: bytes, pixels: np.ndarray
) -> None:
    (tmp_path / "x.png").write_bytes(data)
    read = read_image(tmp_path / "x.png").transpose(1, 2, 0)
    assert read.shape == pixels.shape
    assert np.abs(read.astype(int) - pixels).max() <= (12 if b"Adobe" in data else 0)  # lossy


def test_read_image_reads_no_further_than_its_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    assert read_image(path, 48).shape == (3, 8, 6)
    with pytest.raises(InputError, match=r"8 x 6"):
        read_image(path, 47)
    padding = bytes(8 * 48 + 2**20 - len(PNG))
    path.write_bytes(PNG + padding)
    read_image(path, 48)
    path.write_bytes(PNG + padding + b"0")
    with pytest.raises(InputError, match=r"a\.png: .*bytes"):
        read_image(path, 48)


def test_read_image_of_a_member_that_lies_about_its_size_or_sum(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip")
    good = path.read_bytes()
    place = good.index(b"PK\x01\x02") + 24
    path.write_bytes(good[:place] + struct.pack("<I", 2**31) + good[place + 4 :])
    assert len(listed(path)[0]["train"]) == 4  # read to its real end
    path.write_bytes(good[:place] + struct.pack("<I", 10) + good[place + 4 :])
    assert "train/a/0.png" in refusal(path)
    path.write_bytes(flipped(good, good.index(b"IEND") + 10))  # no decoder of images looks there
    assert "set.zip" in refusal(path)
