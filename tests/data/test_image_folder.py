"""Archives and images that are unusual, wrong or hostile: the right pixels, or an InputError."""

import os
import random
import stat
import warnings
import zipfile
from base64 import b64decode
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
OPAQUE = np.insert(COLOUR, 3, 255, axis=2)
FILES = [f"{split}/{name}/{i}.png" for split in ("train", "test") for name in "ab" for i in "01"]


def encoded(image: Image.Image | np.ndarray, kind: str = "png", **options: Any) -> bytes:
    file = BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


PNG = encoded(GREY)
JPEG = encoded(COLOUR, "jpeg")


def write_zip(folder: Path, **changed: bytes | None) -> Path:
    """Write a good set as a zip, except for the members `changed` (None: left out)."""
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        for name, data in {**dict.fromkeys(FILES, PNG), **changed}.items():
            if data is not None:
                archive.writestr(name, data)
    return folder / "set.zip"


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
def test_list_images_of_a_zip_or_folder_sorts_them(tmp_path: Path, inside: str) -> None:
    junk = ["__MACOSX/train/a/._0.png", f"{inside}train/a/Thumbs.db", f"{inside}train/.DS_Store",
            f"{inside}test/.old/0.png", f"{inside}test/b/readme.txt", "old.zip"]  # fmt: skip
    one_name_in_two_ways = ("train/\u0107/0.png", "test/c\u0301/0.png")
    files = (*reversed(FILES), "train/a/10.JPG", *one_name_in_two_ways)
    images = [f"{inside}{file}" for file in files]
    members = {**dict.fromkeys(FILES), **dict.fromkeys(images, PNG), **dict.fromkeys(junk, b"x")}
    path, folder = write_zip(tmp_path, **members), tmp_path / "set"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    test = [("0.png", 0), ("1.png", 0), ("0.png", 1), ("1.png", 1), ("0.png", 2)]
    expected = {"train": [test[0], test[1], ("10.JPG", 0), *test[2:]], "test": test}
    for source in (path, folder):
        names, classes, left_out = listed(source)
        assert names == expected
        assert classes == ["a", "b", "\u0107"]
        assert sorted(left_out) == sorted(junk)
    for name in ("again", "and_again"):  # circles: each level has twice as many folders
        (folder / name).symlink_to(folder)
    assert listed(folder)[0] == expected
    odd = folder / f"{inside}train/a/9.png"
    for make in (os.mkfifo, lambda path: path.symlink_to("gone.png")):
        make(odd)
        assert "9.png" in refusal(folder)
        odd.unlink()
    odd.mkdir()
    (odd / "0.png").write_bytes(PNG)
    assert "train/a/9.png/0.png" in refusal(folder)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        *(({name: PNG}, name) for name in (
            "train/a/../9.png", "./train/a/9.png", "/train/a/9.png", "C:/train/a/9.png",
            "train/9.png", "train/a/more/9.png")),
        *(({"test/A/9.png": PNG}, "only: A"), ({"train/c\u0301/9.txt": b""}, "only: \u0107")),
        (dict.fromkeys(("train/\u0107/9.png", "train/c\u0301/9.png"), PNG), r"\u0107"),
        ({"train/c\x07/9.png": PNG}, r"c\x07"),
        ({"test/a/9\x1b[2J.png": PNG}, r"test/a/9\x1b[2J.png"),
        ({"train/a/0.png": None, "train/a/1.png": None, "train/a/x.txt": b""}, "train/a"),
        ({"train/a/0.png": None, "train/a/1.png": None}, "only: a"),
        ({name: None for name in FILES if "/b/" in name}, "1 classes"),
        ({**dict.fromkeys(FILES), "set.zip": PNG}, "no folder"),
    ],
)  # fmt: skip
def test_list_images_of_another_layout_names_it(
    tmp_path: Path, changed: dict[str, bytes | None], named: str
) -> None:
    assert named in refusal(write_zip(tmp_path, **changed))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_opened_of_a_hostile_zip_names_it_and_the_member(tmp_path: Path) -> None:
    path = write_zip(tmp_path)
    good = path.read_bytes()
    link = zipfile.ZipInfo("train/b/9.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    for member in (link, zipfile.ZipInfo("train/b/0.png")):
        path.write_bytes(good)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(member, "../../../secret.png")
        assert member.filename in refusal(path)
    central = good.index(b"PK\x01\x02")
    path.write_bytes(flipped(good, central + 27, 64))  # says that it is a GiB larger
    assert len(listed(path)[0]["train"]) == 4  # read to its real end
    for data in (flipped(good, central + 24, 64), flipped(good, central + 8)):  # encrypted
        path.write_bytes(data)
        assert "train/a/0.png" in refusal(path)
    # No decoder of images looks there, but the zip has a checksum.
    for data in (flipped(good, good.index(b"IEND") + 10), b"not a zip"):
        path.write_bytes(data)
        refusal(path)
    refusal(tmp_path / "gone.zip")
    rng = random.Random(0)
    for number in range(200):
        data = good[: rng.randrange(1, len(good))] if number % 2 else good
        for _ in range(rng.randint(1, 8)):
            data = flipped(data, rng.randrange(len(data)), rng.randrange(256))
        path.write_bytes(data)
        with suppress(InputError, OSError), warnings.catch_warnings(action="ignore"):
            listed(path)  # compares the pixels


DEEP = b64decode(  # 1 x 1 pixel of 16 bits
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABEAIAAADA54+dAAAAC0lEQVR4nGNgAAMAAAcAAbKGrPQAAAAASUVORK5CYII="
)
NOT_IHDR = b"\0\0\0\x14teSt" + bytes(20) + bytes.fromhex("9153cbda")  # a chunk


@pytest.mark.parametrize(
    "data",
    [
        *(b"plain text", PNG[:60], JPEG[:-100]),
        *(flipped(PNG, place) for place in (len(PNG) // 2, -14)),  # -14: where loading is done
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 8\n%%EndComments\nshowpage\n",  # a program
        *(encoded(GREY, exif=b"Exif\0\0broken"), encoded(GREY, "gif")),
        *(encoded(GREY.astype(np.uint16) * 257), DEEP),
        PNG[:8] + NOT_IHDR + PNG[8:],  # the depth is not at its usual place
        encoded(np.minimum(OPAQUE, 254)),
        encoded(GREY, transparency=int(GREY[3, 3])),
    ],
)
def test_read_image_of_anything_else_names_the_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "1.png").write_bytes(data)
    with pytest.raises(InputError, match=r"1\.png: "):
        read_image(tmp_path / "1.png")


CMYK = Image.fromarray(COLOUR).convert("CMYK")
TURNED = Image.Exif()
TURNED[0x0112] = 6  # orientation: to be shown turned by a quarter


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (PNG, GREY),
        (encoded(OPAQUE), COLOUR),
        (encoded(Image.fromarray(GREY).quantize(colors=256)), GREY),
        (encoded(GREY > 100), 255 * (GREY > 100)),
        (JPEG, np.asarray(Image.open(BytesIO(JPEG)))),
        (encoded(CMYK, "jpeg", quality=100), np.asarray(CMYK.convert("RGB"))),
        (encoded(np.rot90(COLOUR), exif=TURNED), COLOUR),
    ],
)
def test_read_image_as_viewers_show_it(tmp_path: Path, data: bytes, pixels: np.ndarray) -> None:
    (tmp_path / "x.png").write_bytes(data)
    read = read_image(tmp_path / "x.png")
    expected = np.broadcast_to(pixels.T, (3, 6, 8)).transpose(0, 2, 1)
    atol = 12 if b"Adobe" in data else 0  # lossy
    np.testing.assert_allclose(read.astype(int), expected, rtol=0, atol=atol)


def test_read_image_reads_no_further_than_its_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    padding = bytes(8 * 48 + 2**20 - len(PNG))
    for data, limit, named in ((PNG, 47, "8 x 6"), (PNG + padding + b"0", 48, "bytes")):
        path.write_bytes(data)
        with pytest.raises(InputError, match=rf"a\.png: .*{named}"):
            read_image(path, limit)
    path.write_bytes(PNG + padding)
    assert read_image(path, 48).shape == (3, 8, 6)
