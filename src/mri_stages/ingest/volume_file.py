"""Read the slices of a volume (NIfTI, Analyze) as RGB pixels of 8 bits.

Voxels are brought into nibabel's closest canonical order: the first axis goes to the patient's
right, the second to anterior, the third to superior. A slice lies with anterior (axial, sagittal)
or superior (coronal) up, the patient's left on the right (axial, coronal) and superior on the right
(sagittal).
"""

import gzip
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast
from zipfile import Path as ZipMember

import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.imageglobals import logger
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader
from nibabel.orientations import apply_orientation, io_orientation
from nibabel.spm2analyze import Spm2AnalyzeHeader
from numpy.typing import NDArray

from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest.bounded_bytes import read_part
from mri_stages.ingest.file_kinds import Kind, Property
from mri_stages.ingest.grey_levels import Window, apply_window, stretch_levels
from mri_stages.ingest.image_set import FilePath, ImageError
from mri_stages.ingest.import_options import Axis, PixelOptions

DEFAULT_PERCENTILES = (0.5, 99.5)
MAX_VOLUME_BYTES = 2**30  # of the stored voxels, such as 512 x 512 x 2048 of 16 bits
MAX_SLICE_VOXELS = 2**26  # such as 8192 x 8192, which become numbers of 64 bits
MAX_HEADER_BYTES = 2**26  # before the voxels of a file; extensions may be long
N_CACHED_VOLUMES = 2  # so that all slices of a volume come from one reading
N_CHANNELS = 3

HEADER_START_BYTES = 540  # of the longest header, NIfTI-2
HeaderClass = type[AnalyzeHeader]
# By the bytes of the magic word, the header of a volume in one file or in two.
HEADERS_1: dict[bytes, HeaderClass] = {
    b"n+1\0": Nifti1Header,
    b"ni1\0": Nifti1PairHeader,
}
HEADERS_2: dict[bytes, HeaderClass] = {
    b"n+2\0": Nifti2Header,
    b"ni2\0": Nifti2PairHeader,
}
PAIR_SUFFIXES = {".hdr": ".img", ".HDR": ".IMG"}

AXIS_NUMBERS = {Axis.SAGITTAL: 0, Axis.CORONAL: 1, Axis.AXIAL: 2}  # in canonical order

Voxels = NDArray[Any]  # (X, Y, Z) as stored, in canonical order


class Geometry(NamedTuple):
    """What the header of a volume says."""

    shape: tuple[int, ...]
    """As stored, three axes."""
    dtype: np.dtype[Any]
    offset: int
    """Bytes before the first voxel."""
    slope: float
    """A stored value k means slope k + intercept."""
    intercept: float
    orientation: NDArray[np.float64]
    """For nibabel's `apply_orientation`."""
    is_assumed: bool
    """Whether the file does not say how its axes lie in the patient."""
    has_other_order: bool
    """Whether its header (Analyze) names another order of axes than the one that is taken."""


@dataclass(frozen=True)
class VolumeSlice:
    """One slice of a volume."""

    path: FilePath
    """Of the volume, or of its header."""
    index: int
    """Along the axis of the options, in canonical order."""
    options: PixelOptions
    is_assumed: bool
    """Whether the file does not say how its axes lie in the patient."""
    has_other_order: bool
    """Whether its header (Analyze) names another order of axes than the one that is taken."""
    number_type: str
    """Of the stored voxels, such as int16."""

    def read(self, notes: Counter[str], kind: Kind | None = None) -> NDArray[np.uint8]:
        """Return the pixels as RGB (3, H, W); count in `notes` how they were converted.

        Put into `kind` how the volume is stored.
        """
        if kind is not None:
            is_pair = self.path.name.lower().endswith(".hdr")
            kind[Property.FORMAT] = ".hdr with .img" if is_pair else ".nii"
            kind[Property.BIT_DEPTH] = self.number_type
        volume = convert_volume(self.path, self.options)
        notes[describe_levels(self.options)] += 1
        if self.index in volume.incomplete_slices:
            notes["hold voxels that are NaN or infinite, which are black"] += 1
        grey = volume.slices[self.index]
        return np.broadcast_to(grey, (N_CHANNELS, *grey.shape))


class ConvertedVolume(NamedTuple):
    """The slices of a volume that the options name, by their index."""

    slices: dict[int, NDArray[np.uint8]]
    incomplete_slices: set[int]  # those with a voxel that is NaN or infinite


def list_slices(path: FilePath, options: PixelOptions) -> list[VolumeSlice]:
    """Return the slices of the volume at `path` that the options name.

    Raise ArgumentError if they name none, and ImageError if it lacks one of them, or if it is no
    volume whose slices can be read.
    """
    geometry = read_geometry(path)
    axis = AXIS_NUMBERS[options.axis]
    stored_axis = int(np.flatnonzero(geometry.orientation[:, 0] == axis)[0])
    n_slices = geometry.shape[stored_axis]
    if not options.slices:
        raise ArgumentError(
            f"{path}: a volume of {n_slices} {options.axis} slices, expected the ones to take: "
            f"--slices START:STOP[:STEP] within 0:{n_slices}, see also --axis"
        )
    if options.slice_range[-1] >= n_slices:
        reason = (
            f"{n_slices} {options.axis} slices, expected {options.slice_range[-1] + 1} or more for "
            f"--slices {options.slices}; take fewer, or leave such volumes out by --exclude"
        )
        raise ImageError(path, "of too few slices", reason)
    check_slice(math.prod(geometry.shape) // n_slices, path)
    return [
        VolumeSlice(
            path,
            index,
            options,
            geometry.is_assumed,
            geometry.has_other_order,
            geometry.dtype.name,
        )
        for index in options.slice_range
    ]


def describe_levels(options: PixelOptions) -> str:
    if options.window is not None:
        center, width = options.window
        return f"are shown with the window {center:g} {width:g}"
    low, high = options.percentiles or DEFAULT_PERCENTILES
    return f"get their grey levels from percentiles {low:g} and {high:g} of each volume"


@contextmanager
def raise_image_errors(path: FilePath) -> Iterator[None]:
    """Turn what nibabel and gzip raise for damaged bytes into an ImageError; nothing is logged."""
    try:
        with silence_nibabel(), np.errstate(all="ignore"):
            yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # nibabel, gzip and zipfile raise many kinds for damaged bytes
        reason = f"not a whole volume: {error or type(error).__name__}"
        raise ImageError(path, "unreadable", reason) from None


@contextmanager
def silence_nibabel() -> Iterator[None]:
    """Let nibabel log nothing: its own suppressor leaves the last resort of logging, stderr."""
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was_disabled


@contextmanager
def open_stream(path: FilePath) -> Iterator[BinaryIO]:
    """Yield the bytes of a file, or of what a .gz holds."""
    with path.open("rb") as file:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield cast(BinaryIO, file)


def read_geometry(path: FilePath) -> Geometry:
    """Return what the header of a volume says; ImageError if its slices cannot be read."""
    with raise_image_errors(path):
        header = read_header(path)
        find_data_file(path)
        shape = check_shape(header, path)
        dtype = check_dtype(header, path)
        check_bytes(shape, dtype, path)
        slope, intercept = read_scaling(header, path)

        offset = header.get_data_offset()
        if not 0 <= offset <= MAX_HEADER_BYTES:
            raise ImageError(path, "unreadable", f"voxels start at byte {offset}")
        affine = header.get_best_affine()
        orientation = io_orientation(affine) if np.isfinite(affine).all() else np.array([np.nan])
        if np.isnan(orientation).any():
            reason = "its affine matrix does not tell the axes apart"
            raise ImageError(path, "without an orientation", reason)

        is_assumed = not has_orientation(header)
        return Geometry(
            shape,
            dtype,
            offset,
            slope,
            intercept,
            orientation,
            is_assumed,
            has_other_order=has_other_order(header),
        )


def read_header(path: FilePath) -> AnalyzeHeader:
    """Return the header of a volume, checked by nibabel; ImageError if it is none."""
    if path.name.lower().endswith(".img"):
        raise ImageError(path, "without a header", "expected a .hdr file beside it")
    with open_stream(path) as stream:
        start = stream.read(HEADER_START_BYTES)

    is_pair = path.name.lower().endswith(".hdr")
    header_class = find_header_class(start, is_pair)
    if header_class is None:
        reason = "not NIfTI in one file" if not is_pair else "not Analyze, nor NIfTI in two files"
        raise ImageError(path, "no volume", reason)
    return header_class(start[: header_class.sizeof_hdr])


def find_header_class(start: bytes, is_pair: bool) -> HeaderClass | None:
    """Return the class of the header that begins with `start`; None if it is none of these.

    is_pair: whether its voxels lie in another file.
    """
    sizes = (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big"))
    if Nifti2Header.sizeof_hdr in sizes:
        header_class = HEADERS_2.get(start[4:8])
    elif Nifti1Header.sizeof_hdr in sizes:
        header_class = HEADERS_1.get(start[344:348], Spm2AnalyzeHeader)
    else:
        return None

    is_pair_class = header_class not in (Nifti1Header, Nifti2Header)
    return header_class if is_pair_class == is_pair else None


def check_shape(header: AnalyzeHeader, path: FilePath) -> tuple[int, ...]:
    """Return the three sides of a volume, without further axes of length 1; or ImageError."""
    shape = tuple(int(side) for side in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 3:
        reason = f"{'x'.join(map(str, shape))}, expected one volume of three axes; save one of them"
        raise ImageError(path, "of more than three axes", reason)
    if len(shape) < 3 or min(shape) < 1:
        raise ImageError(path, "no volume", f"its sides are {shape}, expected three")
    return shape


def check_dtype(header: AnalyzeHeader, path: FilePath) -> np.dtype[Any]:
    """Return the dtype of the voxels; ImageError unless they are single real numbers."""
    dtype: np.dtype[Any] = header.get_data_dtype()
    if dtype.fields is not None:
        raise ImageError(path, "of colours", "expected grey voxels")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise ImageError(path, "of another kind of voxel", f"{dtype.name}, expected real numbers")
    return dtype


def check_bytes(shape: tuple[int, ...], dtype: np.dtype[Any], path: FilePath) -> None:
    """Raise ImageError if the voxels would take more than `MAX_VOLUME_BYTES`."""
    if math.prod(shape) * dtype.itemsize > MAX_VOLUME_BYTES:
        reason = f"{'x'.join(map(str, shape))} voxels of {dtype.itemsize} bytes"
        raise ImageError(path, "too large", f"{reason}, expected {MAX_VOLUME_BYTES >> 20} MiB")


def check_slice(n_voxels: int, path: FilePath) -> None:
    """Raise ImageError if a slice has more than `MAX_SLICE_VOXELS`."""
    if n_voxels > MAX_SLICE_VOXELS:
        reason = f"{n_voxels:,} voxels in a slice, expected {MAX_SLICE_VOXELS:,}; see --axis"
        raise ImageError(path, "too large", reason)


def read_scaling(header: AnalyzeHeader, path: FilePath) -> tuple[float, float]:
    """Return the slope and the intercept of the voxels, 1 and 0 where there are none."""
    slope, intercept = header.get_slope_inter()
    slope = 1.0 if slope is None else float(slope)
    intercept = 0.0 if intercept is None else float(intercept)
    if slope == 0 or not math.isfinite(slope) or not math.isfinite(intercept):
        raise ImageError(path, "of a wrong scaling", f"slope {slope}, intercept {intercept}")
    return slope, intercept


def has_orientation(header: AnalyzeHeader) -> bool:
    """Return whether a file says how its axes lie in the patient. Analyze has no place for it."""
    if not isinstance(header, Nifti1Header):  # of which the other classes of NIfTI inherit
        return False
    return bool(header["sform_code"] or header["qform_code"])


def has_other_order(header: AnalyzeHeader) -> bool:
    """Return whether a header of Analyze names another order of axes: coronal, sagittal, flipped.

    Programs disagree on what it means, so SPM and nibabel do not use it either.
    """
    if isinstance(header, Nifti1Header):
        return False
    return header["orient"].item() not in (b"", b"\0")


@lru_cache(maxsize=N_CACHED_VOLUMES)
def convert_volume(path: FilePath, options: PixelOptions) -> ConvertedVolume:
    """Return the slices that the options name as grey levels (H, W), of one reading of the file."""
    geometry = read_geometry(path)
    with raise_image_errors(path):
        voxels = read_voxels(path, geometry)
        limits = find_limits(voxels, geometry, path, options)

        slices = {}
        incomplete_slices = set()
        for index in options.slice_range:
            stored = turn_slice(voxels.take(index, AXIS_NUMBERS[options.axis]), options.axis)
            values = stored.astype(np.float64) * geometry.slope + geometry.intercept
            infinite_mask = ~np.isfinite(values)
            if infinite_mask.any():
                incomplete_slices.add(index)
                values[infinite_mask] = np.nan  # which becomes black
            slices[index] = reduce_to_grey(values, limits, options)
        return ConvertedVolume(slices, incomplete_slices)


def read_voxels(path: FilePath, geometry: Geometry) -> Voxels:
    """Return the stored voxels (X, Y, Z) in canonical order; ImageError if some are missing."""
    data_path = find_data_file(path)
    n_bytes = math.prod(geometry.shape) * geometry.dtype.itemsize
    with open_stream(data_path) as stream:
        stream.read(geometry.offset)
        data = read_part(stream, n_bytes)
        stream.read(1)  # at its end, a .gz compares its checksum
    if len(data) < n_bytes:
        reason = f"{len(data)} of {n_bytes} bytes of voxels; copy the file again"
        raise ImageError(data_path, "cut short", reason)

    stored = np.frombuffer(data, geometry.dtype).reshape(geometry.shape, order="F")
    canonical: Voxels = apply_orientation(stored, geometry.orientation)
    return canonical


def find_data_file(path: FilePath) -> FilePath:
    """Return the file of the voxels: the volume itself, or the .img file beside a .hdr file."""
    suffix = Path(path.name).suffix
    if suffix.lower() != ".hdr":
        return path
    for data_suffix in (PAIR_SUFFIXES.get(suffix, ".img"), ".img", ".IMG"):
        sibling = replace_suffix(path, data_suffix)
        if sibling.exists():
            return sibling
    raise ImageError(path, "without voxels", "expected a .img file beside it")


def replace_suffix(path: FilePath, suffix: str) -> FilePath:
    """Return the path of a file, or of a member of a zip, with another suffix of four letters."""
    if isinstance(path, Path):
        return path.with_suffix(suffix)
    return ZipMember(path.root, path.at[:-4] + suffix)


def find_limits(
    voxels: Voxels, geometry: Geometry, path: FilePath, options: PixelOptions
) -> tuple[float, float]:
    """Return the values of black and white: percentiles of the finite voxels; 0, 1 with a window.

    Raise ImageError if the two are equal.
    """
    if options.window is not None:
        return 0, 1
    low, high = options.percentiles or DEFAULT_PERCENTILES
    # In stored numbers the order is the other one if the slope is negative.
    percentiles = (low, high) if geometry.slope > 0 else (100 - low, 100 - high)
    finite_voxels = select_finite(voxels)
    if not finite_voxels.size:
        raise ImageError(path, "empty", "no voxel is a number")
    limits = np.percentile(finite_voxels, percentiles, overwrite_input=True)
    black, white = limits.astype(np.float64) * geometry.slope + geometry.intercept
    if not math.isfinite(white - black):
        raise ImageError(path, "of a wrong scaling", f"voxels from {black:g} to {white:g}")
    if not black < white:
        reason = f"percentiles {low:g} and {high:g} are both {black:g}; see --percentiles"
        raise ImageError(path, "of one grey level", reason)
    return float(black), float(white)


def select_finite(voxels: Voxels) -> NDArray[Any]:
    """Return a copy of the finite voxels (N,) in this machine's order of bytes."""
    values = voxels.astype(voxels.dtype.newbyteorder("="), order="K").ravel(order="K")
    if values.dtype.kind in "iu":
        return values
    finite_mask = np.isfinite(values)
    return values if finite_mask.all() else values[finite_mask]


def reduce_to_grey(
    values: NDArray[np.float64], limits: tuple[float, float], options: PixelOptions
) -> NDArray[np.uint8]:
    """Return values (H, W) as grey levels, by the window of the options or between two values."""
    if options.window is not None:
        return apply_window(values, Window(*options.window))
    black, white = limits
    return stretch_levels(values, black, white)


def turn_slice(pixels: Voxels, axis: Axis) -> Voxels:
    """Return a slice as it is looked at, from its two canonical axes; see the module's docstring.

    pixels: (right, anterior) of an axial slice, (right, superior) of a coronal slice, (anterior,
    superior) of a sagittal slice.
    """
    if axis is Axis.SAGITTAL:
        return pixels[::-1]
    return pixels.T[::-1, ::-1]
