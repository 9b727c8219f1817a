"""Read one image file as RGB pixels of 8 bits. Each file is checked, and no program is run for it.

The message of a fault names the file, the kind of fault, and the reason or what to do.
"""

import warnings
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile as OpenedFile
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION

from mri_stages.console import format_count
from mri_stages.errors import InputError
from mri_stages.ingest.bounded_bytes import read_bounded
from mri_stages.ingest.file_kinds import Kind, Property
from mri_stages.ingest.image_set import FilePath, ImageError, note_dark_image

Image.init()
# EPS runs Ghostscript, and IPTC may embed EPS. Pillow detects the last five but cannot decode them.
EXCLUDED_FORMATS = ("EPS", "IPTC", "BUFR", "GRIB", "HDF5", "MPEG", "WMF")
FORMATS = [name for name in Image.ID if name not in EXCLUDED_FORMATS]
SUFFIXES = {
    suffix
    for suffix, name in Image.registered_extensions().items()
    if name in FORMATS or name == "MPO"
}

# A viewer shows only the first frame of these; the further ones are previews or layers.
FIRST_FRAME_FORMATS = ("MPO", "PSD")

# Pillow warns of damaged metadata, of palettes and the like by this class. Its warning of very many
# pixels has another class, which stays visible.
EXPECTED_WARNING = UserWarning

WHITE_IS_ZERO = 0  # of PHOTOMETRIC_INTERPRETATION
MAX_16_BIT_LEVEL = 65535
LEVELS_PER_8_BIT_LEVEL = 257  # 65535 / 255
MAX_12_BIT_LEVEL = 4095  # of many scanners
BLACK_AND_WHITE = "1"  # a mode of Pillow
COLOUR_NOTE = "keep the upper 8 of 16 bits"
GREY_NOTE = "are scaled from 16 to 8 bits: grey level k becomes k/257"
FEW_LEVELS_NOTE = (
    f"{GREY_NOTE}, and at most 17 levels remain, because all are below {MAX_12_BIT_LEVEL + 1}, as "
    "in scans of 12 bits; multiply them first"
)


@dataclass(frozen=True)
class PillowPicture:
    """An image file of a format that Pillow reads."""

    path: FilePath

    def read(self, notes: Counter[str], kind: Kind | None = None) -> NDArray[np.uint8]:
        """Return the pixels as RGB (3, H, W); count in `notes` how they were converted.

        Put into `kind` how they are stored.
        """
        return read_image(self.path, notes, kind)


class DecodedImage(NamedTuple):
    """The image of a file, and how the file stores it."""

    image: Image.Image  # RGB
    note: str  # on a conversion; empty where there was none
    kind: Kind


def read_image(
    path: FilePath, notes: Counter[str] | None = None, kind: Kind | None = None
) -> NDArray[np.uint8]:
    """Return the image at `path` as RGB (3, H, W) uint8, turned as its EXIF entry says.

    A grey level k of 16 bits becomes k/257. `notes` counts such conversions by their note. `kind`
    gets how the file stores the image. Raise ImageError for anything but one opaque image of whole
    numbers.
    """
    try:
        data = read_bounded(path)
        with warnings.catch_warnings(action="ignore", category=EXPECTED_WARNING):
            decoded = decode_image(data, path)
        pixels = np.asarray(decoded.image).transpose(2, 0, 1)
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise ImageError(path, "unreadable", "not an image that Pillow knows") from None
    except Exception as error:  # Pillow and zipfile raise many kinds for damaged bytes
        raise ImageError(path, "unreadable", error) from None

    if notes is not None:
        if decoded.note:
            notes[decoded.note] += 1
        else:
            note_dark_image(pixels, notes)
    if kind is not None:
        kind.update(decoded.kind)
    return pixels


def decode_image(data: bytes, path: FilePath) -> DecodedImage:
    """Return the bytes of an image file as an image; `path` is only for the messages."""
    # Verifying compares checksums, which loading skips; a verified image cannot be loaded.
    Image.open(BytesIO(data), formats=FORMATS).verify()
    image = Image.open(BytesIO(data), formats=FORMATS)

    # Loading the pixels removes the tiles, so this is asked before.
    has_16_bits = has_16_bit_tiles(image)
    check_image(image, path)
    upright = ImageOps.exif_transpose(image)

    if image.mode.startswith("I"):
        upright, note = reduce_to_8_bits(upright, path)
        if is_white_zero(image):
            upright = ImageOps.invert(upright)
    elif has_16_bits:
        note = COLOUR_NOTE
    else:
        note = ""
    n_bits = 1 if image.mode == BLACK_AND_WHITE else 8
    if note:
        n_bits = 16
    kind = {Property.FORMAT: str(image.format), Property.BIT_DEPTH: format_count(n_bits, "bit")}
    return DecodedImage(upright.convert("RGB"), note, kind)


def has_16_bit_tiles(image: OpenedFile) -> bool:
    """Return whether an image that is not loaded yet is stored with 16 bits per value.

    Pillow reduces colours of 16 bits to 8 while it loads them, so that the mode of the image does
    not tell. The raw mode in its tiles does, such as RGB;16B.
    """
    return any(";16" in str(tile) for tile in image.tile)


def check_image(image: Image.Image, path: FilePath) -> None:
    """Raise ImageError if the image has several frames, float pixels, or transparent ones."""
    if getattr(image, "is_animated", False) and image.format not in FIRST_FRAME_FORMATS:
        raise ImageError(path, "of several frames", "expected one; save the one that you mean")
    if image.mode == "F":
        raise ImageError(path, "of float pixels", "expected whole numbers of 8 or 16 bits")
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        if alpha.min() < 255:
            raise ImageError(path, "transparent", "expected opaque pixels; flatten it")


def is_white_zero(image: Image.Image) -> bool:
    """Return whether the file says that its grey level 0 is white, as a TIFF may.

    Pillow turns such images round itself where they have 8 bits, and not where they have 16.
    """
    tags = getattr(image, "tag_v2", {})
    return bool(tags.get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO)


def reduce_to_8_bits(image: Image.Image, path: FilePath) -> tuple[Image.Image, str]:
    """Return a grey image of 16 bits as one of 8 bits, and a note on the conversion."""
    levels = np.asarray(image)
    lowest = int(levels.min())
    highest = int(levels.max())
    if lowest < 0 or highest > MAX_16_BIT_LEVEL:
        reason = f"levels {lowest} to {highest}, expected 0 to {MAX_16_BIT_LEVEL}"
        raise ImageError(path, "beyond 16 bits", reason)

    grey = np.rint(levels / LEVELS_PER_8_BIT_LEVEL).astype(np.uint8)
    note = GREY_NOTE if highest > MAX_12_BIT_LEVEL else FEW_LEVELS_NOTE
    return Image.fromarray(grey), note
