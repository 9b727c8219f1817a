"""Archives and images that are wrong or hostile: the right pixels, or one line and no file."""

import os
import random
import stat
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from src.cli import InputError
from src.image_set import list_images, opened, read_image, with_subjects
from stages import images

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (8, 6), np.uint8)
COLOUR = RNG.integers(0, 256, (8, 6, 3), np.uint8)
FILES = [f"{split}/{name}/{i}.png" for split in ("train", "test") for name in "ab" for i in "01"]
Convert = Callable[..., str]


def encoded(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


PNG = encoded(Image.fromarray(GREY))


@pytest.fixture
def convert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Convert:
    """Run the stage on `set.zip` or another source; what it says."""
    monkeypatch.chdir(tmp_path)

    def run(source: str = "set.zip", *options: str) -> str:
        monkeypatch.setattr(sys, "argv", ["images", source, *options])
        images.main()
        return capsys.readouterr().out

    return run


@pytest.fixture
def refusal(convert: Convert, tmp_path: Path) -> Convert:
    """The one line with which the stage refuses its source, and writes nothing."""

    def run(*arguments: str) -> str:
        before = {*tmp_path.rglob("*")}
        with pytest.raises(InputError) as error:
            convert(*arguments)
        assert {*tmp_path.rglob("*")} - before <= {tmp_path / "data"}
        assert "\n" not in str(error.value)
        return str(error.value)

    return run


def write_zip(path: Path, **changed: bytes | None) -> None:
    """A good set in a zip, but for the members `changed` (None: left out)."""
    members: dict[str, bytes | None] = {**dict.fromkeys(FILES, PNG), **changed}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(name, data)


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("../train/a/9.png", "../train/a/9.png is a name that leads elsewhere"),
        ("train/a/../../../9.png", "leads elsewhere"),
        ("/train/a/9.png", "leads elsewhere"),
        ("C:/train/a/9.png", "leads elsewhere"),
        ("train/a//9.png", "leads elsewhere"),
        ("train/a/0.png", "stands there twice"),
        ("train/9.png", "train/9.png is no {train,test}/CLASS/IMAGE"),
        ("train/a/more/9.png", "train/a/more/9.png is no {train,test}/CLASS/IMAGE"),
        ("train/c/9.png", "3 classes in train, 2 in test, in one of them only: c"),
        ("test/A/9.png", "in one of them only: A"),
        ("test/a/9\x1b[2J.png", "'test/a/9\\x1b[2J.png' cannot be printed"),
        ("train/c\u0301/9.txt", "in one of them only: \u0107"),
        ("train/c\x07/9.png", "cannot be printed"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_out_of_place(
    tmp_path: Path, refusal: Convert, name: str, fragment: str
) -> None:
    write_zip(tmp_path / "set.zip")
    with zipfile.ZipFile(tmp_path / "set.zip", "a") as archive:
        archive.writestr(name, PNG)
    assert fragment in refusal()


def test_a_link_in_a_zip_is_not_followed(tmp_path: Path, refusal: Convert) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    write_zip(tmp_path / "set.zip")
    link = zipfile.ZipInfo("train/a/9.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "a") as archive:
        archive.writestr(link, "../../../secret.png")
    assert "train/a/9.png is a link or a device" in refusal()


def test_an_encrypted_zip(tmp_path: Path, refusal: Convert) -> None:
    write_zip(tmp_path / "set.zip")
    data = bytearray((tmp_path / "set.zip").read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1  # the flag in the directory of the archive
    (tmp_path / "set.zip").write_bytes(data)
    assert "train/a/0.png is encrypted" in refusal()


def test_one_letter_stored_in_two_ways_is_one_class_name(
    tmp_path: Path, convert: Convert, refusal: Convert
) -> None:
    composed, decomposed = "D\u00e9mence", "De\u0301mence"
    write_zip(tmp_path / "set.zip", **{f"train/{composed}/0.png": PNG,
                                       f"test/{decomposed}/0.png": PNG})  # fmt: skip
    assert "3 classes" in convert()
    assert composed in (tmp_path / "data/raw/classes.json").read_text(encoding="utf-8")
    write_zip(tmp_path / "set.zip", **{f"train/{composed}/0.png": PNG,
                                       f"train/{decomposed}/0.png": PNG})  # fmt: skip
    assert "class 'D\\xe9mence' in train stands there twice" in refusal("set.zip", "--out", "new")


def test_what_systems_leave_behind_is_left_out_with_a_note(
    tmp_path: Path, convert: Convert
) -> None:
    junk = ["__MACOSX/train/a/._0.png", "__MACOSX/test/a/._0.png", "train/a/Thumbs.db",
            "train/.DS_Store", "test/.old/0.png", "test/b/readme.txt", "old.zip"]  # fmt: skip
    write_zip(tmp_path / "set.zip", **dict.fromkeys(junk, b"x"))
    said = convert()
    assert "note: 7 other files left out, such as '__MACOSX/test/a/._0.png'" in said
    assert "train 4, test 4 images of 2 classes" in said


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"train/a/0.png": None, "train/a/1.png": None, "train/a/": b""}, "train/a: no image"),
        ({"train/a/0.png": None, "train/a/1.png": None, "train/a/x.txt": b""}, "train/a: no image"),
        ({"train/a/0.png": None, "train/a/1.png": None}, "in one of them only: a"),
        ({name: None for name in FILES if "test" in name}, "found train"),
        (dict.fromkeys(FILES), "found no folder"),
        ({**dict.fromkeys(FILES), "set.zip": PNG}, "found no folder"),  # a zip in the zip
    ],
)
def test_another_layout(
    tmp_path: Path, refusal: Convert, change: dict[str, bytes | None], fragment: str
) -> None:
    write_zip(tmp_path / "set.zip", **change)
    assert fragment in refusal()


def with_flipped_byte(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]


def jpeg(**options: Any) -> bytes:
    return encoded(Image.fromarray(COLOUR), "jpeg", **options)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def png_of_16_bits(channels: int) -> bytes:
    """A PNG of 8 x 6 pixels with 16 bits a channel; `channels`: 2 is RGB, 4 grey and alpha."""
    row = b"\0" + bytes(6 * 2 * {0: 1, 2: 3, 4: 2, 6: 4}[channels])
    header = struct.pack(">IIBBBBB", 6, 8, 16, channels, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(8 * row)) + png_chunk(b"IEND", b"")
    )  # fmt: skip


def bomb() -> bytes:
    """A PNG of few bytes that says of itself that it has 60000 x 60000 pixels."""
    data = bytearray(encoded(Image.new("L", (6, 8))))
    data[16:24] = struct.pack(">II", 60000, 60000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 6 8
%%EndComments
(canary) (w) file (sung) writestring
showpage
"""
ALPHA = np.dstack([COLOUR, np.full((8, 6), 255, np.uint8)])


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"plain text", "cannot be read as an image, expected a JPEG or PNG"),
        (b"", "cannot be read as an image, expected a JPEG or PNG"),
        (PNG[:60], "cannot be read as an image"),
        (with_flipped_byte(PNG), "cannot be read as an image"),
        (jpeg()[:-100], "cannot be read as an image"),
        (jpeg()[:300], "cannot be read as an image"),
        (encoded(Image.fromarray(GREY), exif=b"Exif\0\0broken"), "cannot be read as an image"),
        (encoded(Image.fromarray(GREY), "gif"), "expected a JPEG or PNG"),
        (encoded(Image.fromarray(GREY), "tiff"), "expected a JPEG or PNG"),
        (EPS, "expected a JPEG or PNG"),
        (b"%PDF-1.4", "expected a JPEG or PNG"),
        (encoded(Image.fromarray(GREY.astype(np.uint16) * 257)), "16 bits, expected 8 bits"),
        *((png_of_16_bits(channels), "16 bits, expected 8 bits") for channels in (0, 2, 4, 6)),
        (PNG[:8] + png_chunk(b"tEXt", b"") + PNG[8:], "does not begin with its IHDR"),
        (encoded(Image.fromarray(np.where(ALPHA.max() == ALPHA, 0, ALPHA))), "transparent pixels"),
        (encoded(Image.fromarray(GREY), transparency=int(GREY[3, 3])), "transparent pixels"),
        (encoded(Image.fromarray(GREY[:7])), "7 x 6 pixels, expected 8 x 6 as in the first"),
        (bomb(), "60000 x 60000 pixels, expected at most 16777216 in all; --max-pixels"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_is_no_such_image(
    tmp_path: Path, refusal: Convert, data: bytes, fragment: str, packed: bool
) -> None:
    write_zip(tmp_path / "set.zip", **{"test/b/1.png": data})
    if not packed:
        with zipfile.ZipFile(tmp_path / "set.zip") as archive:
            archive.extractall(tmp_path / "set")
    line = refusal("set.zip" if packed else "set")
    assert "test/b/1.png: " in line
    assert fragment in line
    assert not (tmp_path / "canary").exists()


def test_a_flipped_bit_in_a_png_changes_no_pixel_unseen(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = RNG.integers(0, 4, (64, 64), np.uint8) * 60  # noise would not be packed at all
    good = encoded(Image.fromarray(pixels))
    for place in range(
        len(good) - 80, len(good)
    ):  # where loading has all pixels, and looks no more
        for bit in range(8):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
            try:
                read = read_image(path)
            except InputError:
                continue
            np.testing.assert_array_equal(read, np.stack([pixels] * 3))


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be shown turned by a quarter
    return exif


def with_palette(image: Image.Image) -> Image.Image:
    return image.quantize(colors=256)


ONE_BIT = Image.fromarray(GREY > 100)
CMYK = Image.fromarray(COLOUR).convert("CMYK")


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (PNG, np.dstack([GREY] * 3)),
        (encoded(Image.fromarray(COLOUR)), COLOUR),
        (encoded(Image.fromarray(ALPHA)), COLOUR),  # of full opacity
        (encoded(with_palette(Image.fromarray(GREY))), np.dstack([GREY] * 3)),
        (encoded(ONE_BIT), np.dstack([255 * (GREY > 100)] * 3)),
        (jpeg(), np.asarray(Image.open(BytesIO(jpeg())))),
        (jpeg(progressive=True), np.asarray(Image.open(BytesIO(jpeg())))),
        (encoded(CMYK, "jpeg", quality=100), np.asarray(CMYK.convert("RGB"))),
        (encoded(Image.fromarray(np.rot90(COLOUR)), exif=turned()), COLOUR),
    ],
    ids=[
        "grey",
        "rgb",
        "rgba",
        "palette",
        "1 bit",
        "jpeg",
        "progressive",
        "cmyk",
        "turned",
    ],
)
def test_every_kind_of_8_bit_image_is_what_a_viewer_shows(
    tmp_path: Path, data: bytes, pixels: np.ndarray
) -> None:
    (tmp_path / "x.png").write_bytes(data)
    read = read_image(tmp_path / "x.png").transpose(1, 2, 0)
    off = np.abs(read.astype(int) - pixels)
    assert off.max() <= (12 if b"Adobe" in data else 0)  # CMYK was lossy


def test_a_bomb_of_bytes_is_read_no_further_than_the_limit(
    tmp_path: Path, refusal: Convert, convert: Convert
) -> None:
    large = encoded(Image.fromarray(RNG.integers(0, 256, (9, 7), np.uint8))) + bytes(2**21)
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FILES:
            archive.writestr(name, large)
    assert (tmp_path / "set.zip").stat().st_size < 2**16
    line = refusal("set.zip", "--max-pixels", "64")
    assert "bytes, which is no image of 64 pixels; --max-pixels raises the limit" in line
    line = refusal("set.zip", "--max-bytes", "1000")
    assert "its pixels would take 6048 bytes, expected at most 1000; --max-bytes" in line
    assert "train 4" in convert("set.zip", "--max-bytes", "6048")


def test_a_member_that_lies_about_its_size(
    tmp_path: Path, refusal: Convert, convert: Convert
) -> None:
    for declared in (2**31, 10):
        write_zip(tmp_path / "set.zip")
        data = bytearray((tmp_path / "set.zip").read_bytes())
        place = data.index(b"PK\x01\x02")
        data[place + 24 : place + 28] = struct.pack("<I", declared)
        (tmp_path / "set.zip").write_bytes(data)
        if declared > len(PNG):  # read to its real end
            assert "train 4, test 4" in convert()
    assert "train/a/0.png: cannot be read as an image" in refusal("set.zip", "--out", "new")


def test_a_flipped_byte_in_a_zip_is_noticed(tmp_path: Path, refusal: Convert) -> None:
    write_zip(tmp_path / "set.zip")
    data = bytearray((tmp_path / "set.zip").read_bytes())
    data[data.index(b"IEND") + 10] ^= 1  # no decoder looks there
    (tmp_path / "set.zip").write_bytes(data)
    assert "Bad CRC-32" in refusal() or "cannot be read" in refusal()


def test_a_pipe_a_circle_of_links_and_a_link_to_nothing(
    tmp_path: Path, refusal: Convert, convert: Convert
) -> None:
    write_zip(tmp_path / "set.zip")
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        archive.extractall(tmp_path / "set")
    for name in ("again", "and_again"):  # two: each level has twice as many folders
        (tmp_path / "set" / name).symlink_to(tmp_path / "set")
    assert "train 4, test 4" in convert("set")
    os.mkfifo(tmp_path / "set/train/a/9.png")
    assert "9.png: no regular file" in refusal("set", "--out", "new")
    (tmp_path / "set/train/a/9.png").unlink()
    (tmp_path / "set/train/a/9.png").symlink_to("gone.png")
    assert "9.png: no regular file" in refusal("set", "--out", "new")


def test_ten_thousand_classes(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label in range(10_000):
            for name in ("train/{}/0.png", "test/{}/1.png", "test/{}/1 (2).png"):
                archive.writestr(name.format(f"c{label:05}"), PNG)
    with opened(path) as tree:
        files, classes, _ = list_images(tree, path)
        assert len(classes) == 10_000
        assert [file.label for file in files["test"]] == [i // 2 for i in range(20_000)]
        with pytest.raises(Exception, match="c00000: 1 train and 2 test files do not fill"):
            with_subjects(files, classes)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.booleans())
def test_a_zip_with_flipped_bytes_is_the_same_set_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, seed: int, flips: int, cut: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.zip"
    write_zip(path)
    data, rng = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(flips):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data[: rng.randrange(len(data))] if cut else data)
    try:
        with warnings.catch_warnings(action="ignore"), opened(path) as tree:
            files, _, _ = list_images(tree, path)
            read = [read_image(file.path) for split in files.values() for file in split]
    except (InputError, OSError) as error:
        said = str(error)
    else:
        said = ""
        for image in read:
            np.testing.assert_array_equal(image, np.stack([GREY] * 3))
    assert "\n" not in said


def test_the_real_command_says_it_in_one_line(
    workspace: Path, stage_error: Callable[..., str]
) -> None:
    write_zip(workspace / "set.zip", **{"test/b/1.png": bomb(), "train/a/\x1b[2J.txt": b""})
    assert "60000 x 60000 pixels" in stage_error("images", "set.zip")
