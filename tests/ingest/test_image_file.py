"""Images that are unusual or wrong: the pixels that a viewer shows, or an ImageError."""

import re
from base64 import b64decode
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION

from mri_stages.ingest.image_file import SUFFIXES, read_image
from mri_stages.ingest.image_set import MAX_DARK_LEVEL, ImageError
from tests.helpers.images import COLOUR, GREY, JPEG, OPAQUE, PNG, encode_image, flip_bit

FLOATS = encode_image(GREY.astype(np.float32), "tiff")
NEGATIVE = encode_image(Image.fromarray(-1 - GREY.astype(np.int32)), "tiff")
BEYOND_16_BITS = encode_image(Image.fromarray(np.full((8, 6), 65536, np.int32)), "tiff")
OVER_THE_PIXEL_LIMIT = encode_image(Image.new("1", (2**14, 2**14)), "png")
BROKEN_EXIF = encode_image(GREY, exif=b"Exif\0\0broken")
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 8\n%%EndComments\nshowpage\n"


def encode_frames(image_format: str) -> bytes:
    second_frame = Image.fromarray(255 - GREY)
    return encode_image(GREY, image_format, save_all=True, append_images=[second_frame])


def write_image(folder: Path, data: bytes) -> Path:
    path = folder / "1.png"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"plain text", "unreadable"),
        (b"", "unreadable"),
        (PNG[:60], "unreadable"),
        (JPEG[:-100], "unreadable"),
        (encode_image(GREY, "tiff")[:100], "unreadable"),
        (flip_bit(PNG, len(PNG) // 2), "unreadable"),
        (flip_bit(PNG, -14), "unreadable"),  # after the last byte that loading needs
        (BROKEN_EXIF, "unreadable"),
        (OVER_THE_PIXEL_LIMIT, "unreadable"),
        (encode_image(np.minimum(OPAQUE, 254)), "transparent"),
        (encode_image(GREY, transparency=int(GREY[3, 3])), "transparent"),
        (encode_frames("gif"), "of several frames"),
        (encode_frames("tiff"), "of several frames"),
        (encode_frames("png"), "of several frames"),
        (encode_frames("webp"), "of several frames"),
        (FLOATS, "of float pixels"),
        (NEGATIVE, "beyond 16 bits"),
        (BEYOND_16_BITS, "beyond 16 bits"),
    ],
)
def test_read_image_names_file_and_fault(tmp_path: Path, data: bytes, kind: str) -> None:
    path = write_image(tmp_path, data)
    with pytest.raises(ImageError, match=rf"1\.png: {kind}") as error:
        read_image(path)
    assert "\n" not in str(error.value)
    assert error.value.kind == kind


def test_read_image_beyond_16_bits_names_its_levels(tmp_path: Path) -> None:
    levels = Image.fromarray(np.array([[3, 65536]], np.int32))
    with pytest.raises(ImageError) as error:
        read_image(write_image(tmp_path, encode_image(levels, "tiff")))
    assert re.findall(r"\d+", error.value.reason) == ["3", "65536", "0", "65535"]


def test_read_image_never_opens_eps(tmp_path: Path) -> None:
    # Pillow would run Ghostscript for it.
    with pytest.raises(ImageError, match="not an image that Pillow knows"):
        read_image(write_image(tmp_path, EPS))


def test_suffixes_leave_out_eps() -> None:
    assert ".eps" not in SUFFIXES


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".tif", ".bmp", ".mpo"])
def test_suffixes_name_usual_images(suffix: str) -> None:
    assert suffix in SUFFIXES


@pytest.mark.filterwarnings("default")
def test_read_image_lets_the_pixel_warning_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GREY.size - 1)
    with pytest.warns(Image.DecompressionBombWarning):
        read_image(write_image(tmp_path, PNG))


def test_read_image_hides_warnings_of_palettes(tmp_path: Path) -> None:
    # Pillow warns of a palette with several transparent entries, here all opaque ones.
    palette = Image.fromarray(GREY).quantize(colors=256)
    data = encode_image(palette, transparency=bytes([255] * 256))
    read_image(write_image(tmp_path, data))


CMYK = Image.fromarray(COLOUR).convert("CMYK")
TURNED = Image.Exif()
TURNED[0x0112] = 6  # orientation: to be shown turned by a quarter
WIDE = {
    image_format: encode_image(GREY.astype(np.uint16) * 257, image_format)
    for image_format in ("png", "tiff", "ppm", "jpeg2000")
}
# 1 x 1 pixel of colours of 16 bits, 1, 2 and 3 times 257.
WIDE_RGB = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABEAIAAADA54+dAAAAD0lEQVR4nGNgZGRiYmYGAAApAA0MLG/8AAAAAElFTkSuQmCC"
)
WIDE_OPAQUE_RGBA = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABEAYAAABPhRjKAAAAEUlEQVR42mNgZGRiYmb+/x8AA0ACCxbI4TYAAAAASUVORK5CYII="
)
WIDE_COLOUR = np.array([[[1, 2, 3]]])
GREY_FORMATS = (
    "png", "bmp", "gif", "tiff", "ppm", "pcx", "tga", "jpeg2000", "dds", "sgi", "ico"
)  # fmt: skip


def expect_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return grey (H, W) or colour (H, W, 3) pixels as (3, H, W)."""
    if pixels.ndim == 2:
        return np.stack([pixels] * 3)
    return pixels.transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        *((encode_image(GREY, image_format), GREY) for image_format in GREY_FORMATS),
        (encode_image(COLOUR, "webp", lossless=True), COLOUR),
        (encode_image(GREY, "tiff", compression="tiff_lzw"), GREY),
        (encode_image(OPAQUE), COLOUR),
        (encode_image(Image.fromarray(GREY).quantize(colors=256)), GREY),
        (encode_image(GREY > 100), 255 * (GREY > 100)),
        (JPEG, np.asarray(Image.open(BytesIO(JPEG)))),
        (encode_image(np.rot90(COLOUR), "png", exif=TURNED), COLOUR),
        (encode_image(np.rot90(COLOUR), "tiff", exif=TURNED), COLOUR),
        *((data, GREY) for data in WIDE.values()),
        (WIDE_RGB, WIDE_COLOUR),
        (WIDE_OPAQUE_RGBA, WIDE_COLOUR),
    ],
)
def test_read_image_as_viewers_show_it(tmp_path: Path, data: bytes, pixels: np.ndarray) -> None:
    image = read_image(write_image(tmp_path, data))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, expect_pixels(pixels))


def test_read_image_converts_cmyk(tmp_path: Path) -> None:
    image = read_image(write_image(tmp_path, encode_image(CMYK, "jpeg", quality=100)))
    expected = expect_pixels(np.asarray(CMYK.convert("RGB")))
    np.testing.assert_allclose(image.astype(int), expected, rtol=0, atol=12)  # JPEG is lossy


def test_read_image_takes_the_first_mpo_frame(tmp_path: Path) -> None:
    first_frame = np.asarray(Image.open(BytesIO(encode_frames("mpo"))).convert("RGB"))
    image = read_image(write_image(tmp_path, encode_frames("mpo")))
    np.testing.assert_array_equal(image, first_frame.transpose(2, 0, 1))


def count_notes(folder: Path, data: bytes) -> Counter[str]:
    notes = Counter[str]()
    read_image(write_image(folder, data), notes=notes)
    return notes


@pytest.mark.parametrize("data", [PNG, JPEG, encode_image(COLOUR)])
def test_read_image_of_8_bits_notes_nothing(tmp_path: Path, data: bytes) -> None:
    assert count_notes(tmp_path, data) == {}


@pytest.mark.parametrize("data", [*WIDE.values(), WIDE_RGB, WIDE_OPAQUE_RGBA])
def test_read_image_of_16_bits_notes_it_once(tmp_path: Path, data: bytes) -> None:
    assert list(count_notes(tmp_path, data).values()) == [1]


@pytest.mark.parametrize("levels", [GREY, GREY.astype(np.uint16) * 257])
def test_read_image_whose_level_0_is_white(tmp_path: Path, levels: NDArray[Any]) -> None:
    """Pillow inverts levels of 8 bits when it writes such a file, and does not those of 16."""
    data = encode_image(levels, "tiff", tiffinfo={PHOTOMETRIC_INTERPRETATION: 0})
    expected = GREY if levels.dtype == np.uint8 else 255 - GREY
    assert (read_image(write_image(tmp_path, data)) == expected).all()


def test_read_image_rounds_levels_of_16_bits(tmp_path: Path) -> None:
    levels = np.array([[0, 128, 129, 65406, 65407, 65535]], np.uint16)
    image = read_image(write_image(tmp_path, encode_image(levels)))
    assert image[0].tolist() == [[0, 0, 1, 254, 255, 255]]


@pytest.mark.parametrize(("highest", "has_few_levels"), [(4095, True), (4096, False)])
def test_read_image_notes_that_12_bits_lose_levels(
    tmp_path: Path, highest: int, has_few_levels: bool
) -> None:
    data = encode_image(np.full((2, 2), highest, np.uint16))
    [note] = count_notes(tmp_path, data)
    assert ("multiply" in note) == has_few_levels


def test_read_image_notes_how_many_levels_12_bits_keep(tmp_path: Path) -> None:
    path = write_image(tmp_path, encode_image(np.arange(4096, dtype=np.uint16).reshape(64, 64)))
    notes = Counter[str]()
    n_levels = len(np.unique(read_image(path, notes)))
    [note] = notes
    assert {"4096", str(n_levels)} <= set(re.findall(r"\d+", note))


@pytest.mark.parametrize(("highest", "n_notes"), [(0, 0), (1, 1), (MAX_DARK_LEVEL, 1)])
def test_read_image_notes_a_dark_image(tmp_path: Path, highest: int, n_notes: int) -> None:
    """Such as a mask of 0 and 1; a black image is what it is."""
    data = encode_image(np.array([[0, highest]], np.uint8))
    notes = Counter[str]()
    read_image(write_image(tmp_path, data), notes)
    assert notes.total() == n_notes


def test_read_image_notes_no_image_of_one_light_pixel(tmp_path: Path) -> None:
    data = encode_image(np.array([[0, MAX_DARK_LEVEL + 1]], np.uint8))
    notes = Counter[str]()
    read_image(write_image(tmp_path, data), notes)
    assert notes.total() == 0
