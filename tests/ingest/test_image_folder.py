"""Archives and images that are unusual or wrong: the right pixels, or an InputError."""

import stat
import zipfile
from base64 import b64decode
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mri_stages.errors import InputError
from mri_stages.ingest.image_file import ImageError, read_image
from mri_stages.ingest.image_folder import list_images

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


def listed(source: Path) -> tuple[list[tuple[str, str, int]], list[str], str]:
    """Return the name, split and label of each image, the classes, and the notes."""
    files, classes, notes = list_images(source)
    for file in files:
        np.testing.assert_array_equal(read_image(file.path), np.stack([GREY] * 3))
    return [file[1:] for file in files], classes, "\n".join(notes)


def refusal(source: Path) -> str:
    with pytest.raises((InputError, OSError)) as error:
        listed(source)
    assert str(source) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("inside", ["", "Some Dataset/", "archive/Set of images/"])
def test_list_images_of_a_zip_or_folder_sorts_them(tmp_path: Path, inside: str) -> None:
    junk = ["__MACOSX/train/a/._0.png", f"{inside}train/a/Thumbs.db", f"{inside}train/.DS_Store",
            f"{inside}test/.old/0.png", f"{inside}test/b/readme.txt", f"{inside}masks/a/0.png",
            "old.zip"]  # fmt: skip
    one_name_in_two_ways = ("train/\u0107/0.png", "test/c\u0301/0.png")
    images = [*reversed(FILES), "train/a/10.PNG", "train/a/deeper/0.png", *one_name_in_two_ways]
    members = dict.fromkeys((f"{inside}{name}" for name in images), PNG)
    path = write_zip(tmp_path, **{**dict.fromkeys(FILES), **members, **dict.fromkeys(junk, b"x")})
    folder = tmp_path / "set"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    order = ["test/a/0.png", "test/a/1.png", "train/a/0.png", "train/a/1.png", "train/a/10.PNG",
             "train/a/deeper/0.png", "test/b/0.png", "test/b/1.png", "train/b/0.png",
             "train/b/1.png", *reversed(one_name_in_two_ways)]  # fmt: skip
    expected = [
        (f"{inside}{name}", name.split("/")[0], "ab".find(name.split("/")[1]) % 3) for name in order
    ]
    for source in (path, folder):
        assert listed(source)[:2] == (expected, ["a", "b", "\u0107"])
        assert "7 other" in listed(source)[2]
    before = listed(folder)
    (folder / "again").symlink_to(folder)  # a circle
    for name, other in ("pq", "qp"):  # and a longer one
        (folder / f"{inside}masks/{name}").mkdir(parents=True, exist_ok=True)
        (folder / f"{inside}masks/{name}/link").symlink_to(folder / f"{inside}masks/{other}")
    assert listed(folder) == before
    moved = (folder / f"{inside}train/a").rename(tmp_path / "elsewhere")
    (folder / f"{inside}train/a").symlink_to(moved)
    assert listed(folder) == before
    (folder / f"{inside}train/a/9.png").symlink_to("gone.png")
    assert "9.png: unreadable" in refusal(folder)


@pytest.mark.parametrize(
    ("folders", "splits", "note"),
    [
        (["Training", "testing"], ["train", "test"], ""),
        (["train", "Valid"], ["train", "test"], "2 images for validation are in test"),
        (["train", "test", "val"], ["train", "test", "train"], "2 images for validation are in tr"),
        (["train"], [""], ""),
        ([""], [""], ""),
        (["pictures", "train", "test"], ["", "train", "test"], "2 other files"),
    ],
)
def test_list_images_takes_other_names_and_sets_without_a_split(
    tmp_path: Path, folders: list[str], splits: list[str], note: str
) -> None:
    names = {
        f"{folder}/{c}/0.png".strip("/"): s
        for folder, s in zip(folders, splits, strict=True)
        for c in "ab"
    }
    path = write_zip(tmp_path, **{**dict.fromkeys(FILES), **dict.fromkeys(names, PNG)})
    files, _, notes = listed(path)
    assert note in notes
    assert bool(note) == bool(notes)
    assert {name: split for name, split, _ in files}.items() <= names.items()
    assert len(files) == 2 * len([folder for folder in folders if folder != "pictures"])


@pytest.mark.parametrize("spell", ["./{}", "/{}", ".\\{}"])
def test_list_images_takes_names_as_other_programs_write_them(tmp_path: Path, spell: str) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("./", "train/", "train/a/", *FILES):
            info = zipfile.ZipInfo()
            info.filename = spell.format(name.replace("/", "\\") if "./" not in spell else name)
            archive.writestr(info, PNG if name in FILES else b"")
    assert sorted(name for name, _, _ in listed(tmp_path / "set.zip")[0]) == sorted(FILES)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"train/9.png": PNG}, "train/9.png"),
        ({"test/A/9.png": PNG}, "only: A"),
        ({"train/a/0.png": None, "train/a/1.png": None, "train/a/x.txt": b""}, "only: a"),
        ({name: None for name in FILES if "/b/" in name}, "1 classes"),
        ({**dict.fromkeys(FILES), "0.png": PNG}, "'0.png'"),
        ({f"seg_{name}": PNG for name in FILES} | dict.fromkeys(FILES), "seg_test, seg_train"),
        ({**dict.fromkeys(FILES), "a/0.dcm": PNG}, "no image in 1 files"),
        (dict.fromkeys(FILES), "no image"),
    ],
)  # fmt: skip
def test_list_images_of_another_layout_names_it(
    tmp_path: Path, changed: dict[str, bytes | None], named: str
) -> None:
    assert named in refusal(write_zip(tmp_path, **changed))


def test_list_images_of_a_damaged_zip_names_it(tmp_path: Path) -> None:
    path = write_zip(tmp_path)
    good = path.read_bytes()
    # Encrypted; cut; a byte where no decoder of images looks, but the zip has a checksum.
    wrong = [flipped(good, good.index(b"PK\x01\x02") + 8), flipped(good, good.index(b"IEND") + 10)]
    for data in (*wrong, good[:-100], b"not a zip"):
        path.write_bytes(data)
        refusal(path)
    refusal(tmp_path / "gone.zip")
    write_zip(tmp_path, **{"train/a/\u00e9.png": PNG})
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xff"))  # not UTF-8
    refusal(path)
    link = zipfile.ZipInfo("train/b/9.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path.write_bytes(good)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "../../../secret.png")
    assert "train/b/9.png: unreadable" in refusal(path)


FLOATS = encoded(GREY.astype(np.float32), "tiff")
HUGE = encoded(Image.new("1", (2**14, 2**14)), "png")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        *((data, "unreadable") for data in (
            b"plain text", b"", PNG[:60], JPEG[:-100], encoded(GREY, "tiff")[:100],
            flipped(PNG, len(PNG) // 2), flipped(PNG, -14),  # -14: where loading is done
            encoded(GREY, exif=b"Exif\0\0broken"))),
        (encoded(np.minimum(OPAQUE, 254)), "transparent"),
        (encoded(GREY, transparency=int(GREY[3, 3])), "transparent"),
        *((encoded(GREY, kind, save_all=True, append_images=[Image.fromarray(255 - GREY)]),
           "of several frames") for kind in ("gif", "tiff", "png", "webp")),
        (FLOATS, "of float pixels"),
        (encoded(Image.fromarray(-1 - GREY.astype(np.int32)), "tiff"), "beyond 16 bits"),
        (HUGE, "unreadable"),  # Pillow's limit
    ],
)  # fmt: skip
def test_read_image_of_anything_else_names_the_file_and_the_kind(
    tmp_path: Path, data: bytes, kind: str
) -> None:
    (tmp_path / "1.png").write_bytes(data)
    with pytest.raises(ImageError, match=rf"1\.png: {kind}") as error:
        read_image(tmp_path / "1.png")
    assert "\n" not in str(error.value)
    assert error.value.kind == kind


def test_read_image_takes_no_eps_for_which_pillow_runs_ghostscript(tmp_path: Path) -> None:
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 8\n%%EndComments\nshowpage\n"
    (tmp_path / "1.png").write_bytes(text)
    with pytest.raises(ImageError, match="not an image that Pillow knows"):
        read_image(tmp_path / "1.png")


CMYK = Image.fromarray(COLOUR).convert("CMYK")
TURNED = Image.Exif()
TURNED[0x0112] = 6  # orientation: to be shown turned by a quarter
WIDE = [encoded(GREY.astype(np.uint16) * 257, k) for k in ("png", "tiff", "ppm", "jpeg2000")]
DEEP = [  # 1 x 1 pixel of colours of 16 bits, 1, 2, 3 times 257: RGB, and opaque RGBA
    b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABEAIAAADA54+dAAAAD0lEQVR4nGNgZGRiYmYGAAApAA0MLG/8AAAAAElFTkSuQmCC"
    ),
    b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABEAYAAABPhRjKAAAAEUlEQVR42mNgZGRiYmb+/x8AA0ACCxbI4TYAAAAASUVORK5CYII="
    ),
]


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        *((encoded(GREY, kind), GREY) for kind in (
            "png", "bmp", "gif", "tiff", "ppm", "pcx", "tga", "jpeg2000", "dds", "sgi", "ico")),
        (encoded(COLOUR, "webp", lossless=True), COLOUR),
        (encoded(GREY, "tiff", compression="tiff_lzw"), GREY),
        (encoded(OPAQUE), COLOUR),
        (encoded(Image.fromarray(GREY).quantize(colors=256)), GREY),
        (encoded(GREY > 100), 255 * (GREY > 100)),
        (JPEG, np.asarray(Image.open(BytesIO(JPEG)))),
        (encoded(CMYK, "jpeg", quality=100), np.asarray(CMYK.convert("RGB"))),
        *((encoded(np.rot90(COLOUR), kind, exif=TURNED), COLOUR) for kind in ("png", "tiff")),
        *((data, GREY) for data in WIDE),
        *((data, np.array([[[1, 2, 3]]])) for data in DEEP),
    ],
)  # fmt: skip
def test_read_image_as_viewers_show_it(tmp_path: Path, data: bytes, pixels: np.ndarray) -> None:
    (tmp_path / "x.png").write_bytes(data)
    notes: Counter[str] = Counter()
    read = read_image(tmp_path / "x.png", notes=notes)
    height, width = pixels.shape[:2]
    assert read.dtype == np.uint8
    assert read.shape == (3, height, width)
    expected = np.broadcast_to(pixels.T, (3, width, height)).transpose(0, 2, 1)
    atol = 12 if b"Adobe" in data else 0  # lossy
    np.testing.assert_allclose(read.astype(int), expected, rtol=0, atol=atol)
    assert bool(notes) == (data in [*DEEP, *WIDE])


def test_read_image_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.repeat([[0, 200]], 4, axis=0).astype(np.uint8)).save(path)
    small = read_image(path, size=(2, 4))
    assert small.shape == (3, 2, 4)
    assert small[0, 0].tolist() == sorted(small[0, 0].tolist())
    assert (small[:, 0, 0] == 0).all()
    assert (small[:, 1, 3] == 200).all()
