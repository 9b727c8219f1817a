"""Read a DICOM file of one image as RGB pixels of 8 bits.

Stored values become grey levels in the order of the standard (PS3.4, N.2): the modality LUT or
rescaling, then a window or VOI LUT, then MONOCHROME1 is inverted. Padding stays out of these steps
(PS3.3, C.7.5.1.1.2) and is black. Colour is taken as it is.

Of the person, PatientID is read and no other element. It tells subjects apart in memory, and no
function here puts it into a message. Modality and Manufacturer may go with the class, which is a
warning (file_kinds.py).
"""

import math
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mri_stages.errors import InputError
from mri_stages.ingest.bounded_bytes import MAX_FILE_BYTES, read_bounded
from mri_stages.ingest.file_kinds import Kind, Property
from mri_stages.ingest.grey_levels import (
    WHITE,
    Window,
    apply_window,
    round_levels,
    stretch_levels,
)
from mri_stages.ingest.image_set import FilePath, ImageError
from mri_stages.ingest.import_options import PixelOptions

MAX_PIXELS = 2**26  # of one image, 8192 x 8192; its values take 512 MiB as float64
PART_BYTES = 2**24  # that are inflated at once
MAX_TEXT_BYTES = 64  # of an element that a warning may name; the standard has no longer ones
N_CHANNELS = 3

StoredValues = NDArray[np.integer[Any]]  # (H, W), or (H, W, 3) in colour

PIXEL_ELEMENTS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
READ_ELEMENTS = [
    *PIXEL_ELEMENTS,
    *("SOPClassUID", "PatientID", "Modality", "Manufacturer"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PlanarConfiguration"),
    *("PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
]
GREY_KINDS = ("MONOCHROME1", "MONOCHROME2")
COLOUR_KINDS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")  # decoders return RGB

INVERTED_NOTE = "are MONOCHROME1, so their grey levels are inverted"
COLOUR_NOTE = "are colour DICOM files, which no window and no percentiles change"
PADDING_NOTE = "have pixels of padding (PixelPaddingValue), which are black"
SEVERAL_NOTE = "have several windows or VOI LUTs; the first is taken, a LUT before a window"
NO_LEVELS_REASON = (
    "the file does not say which values are black and white; '--window CENTER WIDTH' says it for "
    "all files, '--percentiles LOW HIGH' takes each file's own"
)


class Header(NamedTuple):
    """What is known of a DICOM file before its pixels are decoded."""

    patient_id: str  # without surrounding spaces; empty where there is none
    window: str  # that the file is read with, as text; empty where it has none of its own


@dataclass(frozen=True)
class DicomPicture:
    """A DICOM file of one image."""

    path: FilePath
    options: PixelOptions
    window: str = ""
    """The window of the file as text; empty where an option decides, or in colour."""

    def read(self, notes: Counter[str], kind: Kind | None = None) -> NDArray[np.uint8]:
        """Return the pixels as RGB (3, H, W); count in `notes` how they were converted.

        Put into `kind` how they are stored, and what made them.
        """
        return read_dicom(self.path, self.options, notes, kind)


def read_header(path: FilePath, options: PixelOptions) -> Header:
    """Return the id and the window of a DICOM file; ImageError if it is not one image to read."""
    with raise_image_errors(path):
        dataset = read_dataset(path)
        check_dataset(dataset, path, options)
        patient_id = str(dataset.get("PatientID") or "").strip(" \0")
        return Header(patient_id, name_window(dataset, options))


def read_dicom(
    path: FilePath, options: PixelOptions, notes: Counter[str], kind: Kind | None = None
) -> NDArray[np.uint8]:
    """Return the image of a DICOM file as RGB (3, H, W); count in `notes` how it was converted.

    Put into `kind` how it is stored, and what made it.
    """
    with raise_image_errors(path):
        dataset = read_dataset(path)
        check_dataset(dataset, path, options)
        stored = decode_pixels(dataset, path)
        if kind is not None:
            kind.update(describe_kind(dataset))

        if has_colour(dataset):
            notes[COLOUR_NOTE] += 1
            return np.ascontiguousarray(stored.transpose(2, 0, 1))

        grey = reduce_to_grey(stored, dataset, path, options, notes)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            notes[INVERTED_NOTE] += 1
            grey = WHITE - grey
        grey = blacken_padding(grey, find_padding(stored, dataset), notes)
        return np.broadcast_to(grey, (N_CHANNELS, *grey.shape))


def describe_kind(dataset: Dataset) -> Kind:
    """Return how a DICOM file stores its image, and what made it, as far as the file says."""
    kind = {
        Property.FORMAT: "DICOM",
        Property.BIT_DEPTH: f"{dataset.get('BitsStored') or dataset.BitsAllocated} bits",
    }
    for name, element in (
        (Property.MODALITY, "Modality"),
        (Property.MANUFACTURER, "Manufacturer"),
    ):
        text = read_plain_text(dataset, element)
        if text:
            kind[name] = text
    return kind


def read_plain_text(dataset: Dataset, element: str) -> str:
    """Return the text of an element in capitals, empty where there is none.

    Its bytes are taken as they are: pydicom may refuse damaged ones, and the pixels are still good.
    """
    stored = dataset.get_item(element) if element in dataset else None
    value = stored.value if stored is not None else None
    if not isinstance(value, bytes):
        return ""
    return value[:MAX_TEXT_BYTES].decode("latin-1").strip(" \0").upper()


@contextmanager
def raise_image_errors(path: FilePath) -> Iterator[None]:
    """Turn what pydicom raises for damaged bytes into an ImageError, and silence its warnings.

    pydicom warns where a file breaks the standard, also in elements that do not matter here. What
    decides the pixels is checked in this module, or raises an error in pydicom.
    """
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            yield
    except (InputError, MemoryError):
        raise
    except InvalidDicomError:
        raise ImageError(path, "unreadable", "no DICOM file: no 'DICM' at byte 128") from None
    except Exception as error:  # pydicom and zipfile raise many kinds for damaged bytes
        reason = f"not a whole DICOM file: {error or type(error).__name__}"
        raise ImageError(path, "unreadable", reason) from None


def read_dataset(path: FilePath) -> Dataset:
    """Return the elements of a DICOM file that decide its pixels, and its PatientID."""
    data = read_bounded(path)
    # The words of the syntax are looked up first: the check reads the file's meta elements.
    if DeflatedExplicitVRLittleEndian.encode() in data:
        check_deflated_size(data, path)
    return dcmread(BytesIO(data), specific_tags=list(READ_ELEMENTS))


def check_deflated_size(data: bytes, path: FilePath) -> None:
    """Raise ImageError if a deflated file would become far larger: pydicom has no limit."""
    stream = BytesIO(data)
    read_preamble(stream, force=False)
    meta = _read_file_meta_info(stream)
    is_deflated = meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
    if is_deflated and count_inflated_bytes(data[stream.tell() :]) > MAX_FILE_BYTES:
        reason = f"above {MAX_FILE_BYTES >> 20} MiB when it is inflated"
        raise ImageError(path, "too large", reason)


def count_inflated_bytes(data: bytes) -> int:
    """Return how many bytes deflated data become, or a number above the limit; none are kept."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    n_bytes = 0
    while not inflater.eof and n_bytes <= MAX_FILE_BYTES:
        part = inflater.decompress(data, PART_BYTES)
        if not part:
            break
        n_bytes += len(part)
        data = inflater.unconsumed_tail
    return n_bytes


def check_dataset(dataset: Dataset, path: FilePath, options: PixelOptions) -> None:
    """Raise ImageError if a file is not one grey or colour image with a known range of levels."""
    check_content(dataset, path)
    check_syntax(dataset, path)
    check_size(dataset, path)
    check_kind(dataset, path)
    if has_colour(dataset):
        return

    check_rescaling(dataset, path)
    if options.window is None and options.percentiles is None:
        check_views(dataset, path)


def check_content(dataset: Dataset, path: FilePath) -> None:
    """Raise ImageError if a file has no pixels, or float ones, or several frames."""
    elements = [name for name in PIXEL_ELEMENTS if dataset.get(name) is not None]
    if not elements:
        kind = dataset.get("SOPClassUID")
        name = kind.name if kind else "DICOM file"
        raise ImageError(path, "without an image", f"{name} without pixels; see --exclude")
    if elements != ["PixelData"]:
        raise ImageError(path, "of float pixels", "expected whole numbers")

    n_frames = int(dataset.get("NumberOfFrames") or 1)
    if n_frames != 1:
        reason = f"{n_frames} frames, expected one; save the frame that you mean as a file"
        raise ImageError(path, "of several frames", reason)


def check_syntax(dataset: Dataset, path: FilePath) -> None:
    """Raise ImageError if no installed decoder reads the compression of a file."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise ImageError(path, "unreadable", "a DICOM file without a transfer syntax")
    if not syntax.is_transfer_syntax or syntax.is_private:
        raise ImageError(path, "unreadable", "a DICOM file of an unknown transfer syntax")
    try:
        is_readable = get_decoder(syntax).is_available
    except NotImplementedError:
        is_readable = False
    if not is_readable:
        raise explain_compression(path, syntax.name, "")


def explain_compression(path: FilePath, name: str, detail: str) -> ImageError:
    """Return the error for pixels in a compression that cannot be decoded."""
    reason = f"{name}, which is not decoded here{detail}; decompress it ('gdcmconv --raw')"
    return ImageError(path, "of another compression", reason)


def check_size(dataset: Dataset, path: FilePath) -> None:
    """Raise ImageError if the sides of an image are missing, or it is larger than `MAX_PIXELS`."""
    rows = dataset.get("Rows") or 0
    columns = dataset.get("Columns") or 0
    if not isinstance(rows, int) or not isinstance(columns, int) or min(rows, columns) < 1:
        raise ImageError(path, "without a size", f"{rows} rows, {columns} columns")
    if rows * columns > MAX_PIXELS:
        reason = f"{rows} x {columns} pixels, expected at most {MAX_PIXELS:,}"
        raise ImageError(path, "too large", reason)


def check_kind(dataset: Dataset, path: FilePath) -> None:
    """Raise ImageError if an image is neither grey nor of colours of 8 bits."""
    kind = dataset.get("PhotometricInterpretation")
    bits = dataset.get("BitsAllocated")
    samples = dataset.get("SamplesPerPixel")
    if kind == "PALETTE COLOR":
        reason = "pixels are indices of a palette; save the image in RGB"
        raise ImageError(path, "of palette colours", reason)
    if kind not in GREY_KINDS + COLOUR_KINDS:
        raise ImageError(path, "of another kind of pixel", f"{kind}, expected grey or RGB")
    if bits == 1:
        raise ImageError(path, "of 1 bit per pixel", "a mask, expected grey levels; see --exclude")

    stored_bits = dataset.get("BitsStored")
    high_bit = dataset.get("HighBit")
    if isinstance(stored_bits, int) and high_bit not in (None, stored_bits - 1):
        reason = f"high bit {high_bit} of {stored_bits} stored bits, expected {stored_bits - 1}"
        raise ImageError(path, "of another kind of pixel", reason)

    has_right_samples = samples == (N_CHANNELS if has_colour(dataset) else 1)
    if not has_right_samples or bits not in (8, 16, 32):
        reason = f"{kind} of {samples} samples of {bits} bits"
        raise ImageError(path, "of another kind of pixel", reason)
    if has_colour(dataset) and bits != 8:
        raise ImageError(path, "of colours of more than 8 bits", f"{bits} bits; save 8 bits")


def has_colour(dataset: Dataset) -> bool:
    return dataset.PhotometricInterpretation in COLOUR_KINDS


def check_rescaling(dataset: Dataset, path: FilePath) -> None:
    """Raise ImageError if a file's rescaling makes all values equal, or lacks a number."""
    if dataset.get("ModalityLUTSequence"):
        return
    slope = dataset.get("RescaleSlope")
    intercept = dataset.get("RescaleIntercept")
    numbers = [number for number in (slope, intercept) if number is not None]
    if len(numbers) == 1 or not all(map(is_finite, numbers)) or slope == 0:
        reason = f"slope {slope} and intercept {intercept}, expected two numbers, the slope not 0"
        raise ImageError(path, "of a wrong rescaling", reason)


def check_views(dataset: Dataset, path: FilePath) -> None:
    """Raise ImageError if a file has neither a window of finite numbers nor a VOI LUT."""
    if not count_views(dataset):
        raise ImageError(path, "without a window", NO_LEVELS_REASON)
    if not dataset.get("VOILUTSequence"):
        window = find_window(dataset)
        if not math.isfinite(window.center) or not math.isfinite(window.width):
            raise ImageError(path, "of a wrong window", f"{window.center} {window.width}")


def is_finite(number: object) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)


def decode_pixels(dataset: Dataset, path: FilePath) -> StoredValues:
    """Return the stored values (H, W), or RGB (H, W, 3) uint8."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        stored = pixel_array(dataset)
    except MemoryError:
        raise
    except Exception as error:  # each decoder raises kinds of its own
        if not syntax.is_compressed or syntax == DeflatedExplicitVRLittleEndian:
            raise
        (*_, last_line) = str(error).strip().splitlines() or [type(error).__name__]
        raise explain_compression(path, syntax.name, f" ({last_line.strip()})") from None

    # pydicom makes several frames of what a file holds beyond one.
    if stored.shape[:2] != (dataset.Rows, dataset.Columns):
        reason = f"{dataset.Rows} rows, {dataset.Columns} columns, but pixels for more"
        raise ImageError(path, "of a wrong size", reason)
    return stored


def reduce_to_grey(
    stored: StoredValues,
    dataset: Dataset,
    path: FilePath,
    options: PixelOptions,
    notes: Counter[str],
) -> NDArray[np.uint8]:
    """Return stored values (H, W) as grey levels, by the options or else by the file itself."""
    values = apply_modality(stored, dataset)
    if options.window is not None:
        return apply_file_window(values, Window(*options.window), path)

    if options.percentiles is not None:
        low, high = options.percentiles
        notes[f"get their grey levels from percentiles {low:g} and {high:g} of each file"] += 1
        image_values = values[~find_padding(stored, dataset)]
        return apply_percentiles(values, image_values, options.percentiles, path)

    if count_views(dataset) > 1:
        notes[SEVERAL_NOTE] += 1
    if dataset.get("VOILUTSequence"):
        table = read_table(dataset.VOILUTSequence[0], dataset)
        return scale_table_values(table.look_up(values), table.n_bits)
    return apply_file_window(values, find_window(dataset), path)


def apply_modality(stored: StoredValues, dataset: Dataset) -> NDArray[np.float64]:
    """Return values in the unit of the modality: by its LUT, by its rescaling, or as stored."""
    values = stored.astype(np.float64)
    if dataset.get("ModalityLUTSequence"):
        table = read_table(dataset.ModalityLUTSequence[0], dataset)
        return table.look_up(values).astype(np.float64)
    if dataset.get("RescaleSlope") is not None:
        values *= float(dataset.RescaleSlope)
        values += float(dataset.RescaleIntercept)
    return values


def find_padding(stored: StoredValues, dataset: Dataset) -> NDArray[np.bool_]:
    """Return which pixels (H, W) are padding around the image."""
    first = dataset.get("PixelPaddingValue")
    if not isinstance(first, int):
        return np.zeros(stored.shape, bool)
    last = dataset.get("PixelPaddingRangeLimit")
    if not isinstance(last, int):
        last = first

    # Some writers store the padding of signed pixels as an unsigned number.
    limits = sorted(wrap_number(number, stored.dtype) for number in (first, last))
    padding_mask: NDArray[np.bool_] = (stored >= limits[0]) & (stored <= limits[1])
    return padding_mask


def blacken_padding(
    grey: NDArray[np.uint8], padding_mask: NDArray[np.bool_], notes: Counter[str]
) -> NDArray[np.uint8]:
    """Return grey levels (H, W) with black padding, whatever number stands for it."""
    if not padding_mask.any():
        return grey
    notes[PADDING_NOTE] += 1
    return np.where(padding_mask, np.uint8(0), grey)


def wrap_number(number: int, dtype: np.dtype[np.integer[Any]]) -> int:
    """Return the number of an integer dtype that has the same bits."""
    limits = np.iinfo(dtype.name)
    n_numbers = limits.max - limits.min + 1
    return (number - limits.min) % n_numbers + limits.min


def apply_percentiles(
    values: NDArray[np.float64],
    image_values: NDArray[np.float64],
    percentiles: Sequence[float],
    path: FilePath,
) -> NDArray[np.uint8]:
    """Return grey levels from black at the first percentile of `image_values` to white at the last.

    values: (H, W). image_values: those that are no padding.
    """
    if not image_values.size:
        raise ImageError(path, "empty", "all pixels are padding")
    low, high = np.percentile(image_values, percentiles)
    if low == high:
        reason = f"percentiles {percentiles[0]:g} and {percentiles[1]:g} are both {low:g}"
        raise ImageError(path, "of one grey level", reason)
    return stretch_levels(values, low, high)


def apply_file_window(
    values: NDArray[np.float64], window: Window, path: FilePath
) -> NDArray[np.uint8]:
    """Return grey levels of values (H, W) by a window; ImageError if the window is wrong."""
    try:
        return apply_window(values, window)
    except ValueError as error:
        reason = f"{window.function} {window.center:g} {window.width:g}: {error}"
        raise ImageError(path, "of a wrong window", reason) from None


def find_window(dataset: Dataset) -> Window:
    """Return the first window of a file that has one."""
    center = list_numbers(dataset, "WindowCenter")[0]
    width = list_numbers(dataset, "WindowWidth")[0]
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    return Window(center, width, function)


def list_numbers(dataset: Dataset, element: str) -> list[float]:
    """Return the numbers of an element; none where it is missing or empty."""
    value = dataset.get(element)
    if value is None or value == "":
        return []
    numbers = value if isinstance(value, MultiValue) else [value]
    return [float(number) for number in numbers]


def count_views(dataset: Dataset) -> int:
    """Return how many different windows and VOI LUTs a file has."""
    centers = list_numbers(dataset, "WindowCenter")
    windows = set(zip(centers, list_numbers(dataset, "WindowWidth"), strict=False))
    return len(windows) + len(dataset.get("VOILUTSequence") or [])


def name_window(dataset: Dataset, options: PixelOptions) -> str:
    """Return the window that a file brings, as text; "" where an option decides, or in colour."""
    if options.window is not None or options.percentiles is not None or has_colour(dataset):
        return ""
    if dataset.get("VOILUTSequence"):
        return "a VOI LUT"
    window = find_window(dataset)
    function = "" if window.function == "LINEAR" else f" {window.function}"
    return f"{window.center:g} {window.width:g}{function}"


class LookUpTable(NamedTuple):
    """A LUT of DICOM: the result for each whole number from `first_value`."""

    first_value: int
    results: NDArray[np.uint16]  # (entries,)
    n_bits: int  # of the results

    def look_up(self, values: NDArray[np.float64]) -> NDArray[np.uint16]:
        """Return the results for values (H, W); those beyond an end get the entry of that end.

        (pydicom's own functions count the entries in the dtype of the results, or of the pixels,
        so that 12-bit values overflow in a LUT of 8-bit results.)
        """
        indices = np.rint(values) - self.first_value
        return self.results[indices.clip(0, len(self.results) - 1).astype(np.int64)]


def read_table(item: Dataset, dataset: Dataset) -> LookUpTable:
    """Return the LUT in an item of a sequence of `dataset`; ValueError if it is not a whole one."""
    n_entries, first_value, n_bits = item.LUTDescriptor
    n_entries = n_entries or 2**16  # which 16 bits cannot hold
    data = item.LUTData
    if isinstance(data, bytes):
        # Results of 8 bits may fill 8 or 16 bits each.
        size = 1 if len(data) < 2 * n_entries else 2
        order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
        data = np.frombuffer(data, f"{order}u{size}")

    results = np.atleast_1d(np.asarray(data))[:n_entries]
    if len(results) < n_entries or not 8 <= n_bits <= 16:
        raise ValueError(f"a LUT of {len(results)} of {n_entries} entries of {n_bits} bits")
    return LookUpTable(first_value, results.astype(np.uint16), n_bits)


def scale_table_values(results: NDArray[np.uint16], n_bits: int) -> NDArray[np.uint8]:
    """Return results (H, W) of a LUT of `n_bits` as grey levels."""
    return round_levels(results / (2**n_bits - 1))
