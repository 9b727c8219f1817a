"""The options of `mri-stages import`: their values, their arguments, and the file import.json.

`import.json` lies in the raw folder, and counts the files of the import too. `predict` and
`external` read its options, so that they read images as the import did.
"""

import math
import re
from argparse import SUPPRESS, ArgumentParser, Namespace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from mri_stages.errors import ArgumentError, InputError
from mri_stages.storage.file_counts import FILES_KEY, FileCounts
from mri_stages.storage.files import write_json

FILE_NAME = "import.json"  # in a raw folder, and in data/details
MAX_SEED = 2**32 - 1  # of scikit-learn
MAX_SIDE = 2**16  # pixels of a resized image
MAX_RESIZED_PIXELS = 2**26  # 8192 x 8192

Level = Annotated[int, Field(ge=1)]
Names = tuple[str, ...]
Options = TypeVar("Options", bound="PixelOptions")


class Fit(StrEnum):
    """How an image is brought to the size of `resize`."""

    STRETCH = "stretch"
    PAD = "pad"
    CROP = "crop"


class Axis(StrEnum):
    """The axis along which the slices of a volume follow each other."""

    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AXIAL = "axial"


class PixelOptions(BaseModel):
    """What decides how the pixels of a file are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: tuple[float, float] | None = None
    """Centre and width of the grey levels of DICOM files."""
    percentiles: tuple[float, float] | None = None
    """The lowest and the highest grey level, as percentiles of each DICOM file or volume."""
    axis: Axis = Axis.AXIAL
    slices: str | None = None
    """START:STOP or START:STOP:STEP: the indices of the slices of each volume."""
    resize: tuple[int, int] | None = None
    """Height and width of all images."""
    fit: Fit = Fit.STRETCH

    @field_validator("window")
    @classmethod
    def check_window(cls, window: tuple[float, float] | None) -> tuple[float, float] | None:
        if window is not None:
            center, width = window
            if not (math.isfinite(center) and math.isfinite(width) and width >= 1):
                raise ValueError(
                    f"{center:g} {width:g}, expected a centre and a width of 1 or more"
                )
        return window

    @field_validator("percentiles")
    @classmethod
    def check_percentiles(cls, limits: tuple[float, float] | None) -> tuple[float, float] | None:
        if limits is not None:
            low, high = limits
            if not 0 <= low < high <= 100:
                raise ValueError(f"{low:g} {high:g}, expected 0 <= LOW < HIGH <= 100")
        return limits

    @field_validator("slices")
    @classmethod
    def check_slices(cls, text: str | None) -> str | None:
        if text is not None and not parse_slices(text):
            raise ValueError(
                f"{text}, expected START:STOP or START:STOP:STEP, whole numbers from 0, "
                "START below STOP, STEP above 0"
            )
        return text

    @field_validator("resize")
    @classmethod
    def check_resize(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size is not None:
            height, width = size
            if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
                raise ValueError(
                    f"{height} {width}, expected a height and a width from 1 to {MAX_SIDE}"
                )
            if height * width > MAX_RESIZED_PIXELS:
                raise ValueError(
                    f"{height} {width}, expected at most {MAX_RESIZED_PIXELS:,} pixels"
                )
        return size

    @model_validator(mode="after")
    def check_pairs(self) -> Self:
        """Raise ValueError if two options exclude each other, or one needs another."""
        if self.window is not None and self.percentiles is not None:
            raise ValueError("--window, --percentiles: expected one of them, not both")
        if self.fit != Fit.STRETCH and self.resize is None:
            raise ValueError(f"--fit {self.fit}: expected a size, --resize HEIGHT WIDTH")
        return self

    @property
    def slice_range(self) -> range:
        """Return the indices of `slices`; empty where the option is not given."""
        return parse_slices(self.slices or "")


class ImportOptions(PixelOptions):
    """All options of an import but its source and its raw folder."""

    table: Path | None = None
    """The table of files and classes; its name alone in import.json."""
    file_column: str = "file"
    class_column: str = "class"
    subject_column: str | None = None
    """`None`: the column `subject`, where there is one."""
    split_column: str | None = None
    """`None`: the column `split`, where there is one."""
    keep: Names = ()
    test_values: Names = ()
    skip_missing: bool = False
    class_level: Level | None = None
    subject_level: Level | None = None
    exclude: Names = ()
    subject_pattern: str | None = None
    subjects: Path | None = None
    """The table of files and subjects; its name alone in import.json."""
    test_share: float | None = None
    seed: int = 0

    @field_validator("test_share")
    @classmethod
    def check_test_share(cls, share: float | None) -> float | None:
        if share is not None and not 0 < share < 1:
            raise ValueError(f"{share}, expected a share above 0 and below 1")
        return share

    @field_validator("seed")
    @classmethod
    def check_seed(cls, seed: int) -> int:
        if not 0 <= seed <= MAX_SEED:
            raise ValueError(f"{seed}, expected a whole number from 0 to 2**32 - 1")
        return seed

    @field_serializer("table", "subjects")
    def name_file(self, path: Path | None) -> str | None:
        """Return the name of a file: where it lies on this machine is nobody's matter."""
        return None if path is None else path.name


class ImportRecord(ImportOptions):
    """The content of import.json."""

    files: FileCounts | None = None
    """`None`: of an earlier version, which counted none."""

    @property
    def options(self) -> ImportOptions:
        """Return the options alone."""
        return ImportOptions.model_validate(self.model_dump(exclude={FILES_KEY}))

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        return self.model_dump(mode="json", exclude={FILES_KEY} if self.files is None else set())


def parse_slices(text: str) -> range:
    """Return the indices of START:STOP[:STEP]; an empty range for any other text."""
    match = re.fullmatch(r"(\d{1,9}):(\d{1,9})(?::([1-9]\d{0,8}))?", text, re.ASCII)
    if match is None:
        return range(0)
    return range(int(match[1]), int(match[2]), int(match[3] or 1))


def add_pixel_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `PixelOptions` to a parser, for `collect_options`."""
    group = parser.add_argument_group("how pixels are read", argument_default=SUPPRESS)
    group.add_argument(
        "--resize", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="of all images, in pixels"
    )
    group.add_argument(
        "--fit",
        choices=[fit.value for fit in Fit],
        help="with --resize: stretch (default), or keep the aspect ratio and pad or crop",
    )
    group.add_argument(
        "--window", type=float, nargs=2, metavar=("CENTER", "WIDTH"), help="of all DICOM files"
    )
    group.add_argument(
        "--percentiles",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="lowest and highest grey level, as percentiles of each DICOM file or volume",
    )
    group.add_argument(
        "--axis", choices=[axis.value for axis in Axis], help="of the slices of volumes (axial)"
    )
    group.add_argument(
        "--slices", metavar="START:STOP[:STEP]", help="indices of the slices of each volume"
    )


def collect_options(kind: type[Options], arguments: Namespace) -> Options:
    """Return the options of this kind among parsed arguments; ArgumentError if one is wrong.

    An option that was not given has no attribute in `arguments`.
    """
    values = {name: value for name, value in vars(arguments).items() if name in kind.model_fields}
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        name, reason = describe_first_error(error)
        option = f"--{name.replace('_', '-')}: " if name else ""
        raise ArgumentError(f"{option}{reason}") from None


def describe_first_error(error: ValidationError) -> tuple[str, str]:
    """Return the option that an error names, or "" for an error of several, and the reason."""
    first_error = error.errors()[0]
    name = str(first_error["loc"][0]) if first_error["loc"] else ""
    return name, first_error["msg"].removeprefix("Value error, ")


def write_import_options(
    folder: Path, options: ImportOptions, counts: FileCounts | None = None
) -> None:
    """Write import.json into a raw folder: the options, and the counts where they are known."""
    record = ImportRecord.model_validate({**options.model_dump(), FILES_KEY: counts})
    write_json(folder / FILE_NAME, record.to_json())


def read_import_options(folder: Path) -> ImportOptions:
    """Return the options in import.json of a raw folder, or of data/details.

    A folder without the file, or with `{}`, gives the options of an import without arguments.
    InputError names a key that is wrong.
    """
    return read_import_record(folder).options


def read_import_record(folder: Path) -> ImportRecord:
    """Return all of import.json, as `read_import_options` does."""
    path = folder / FILE_NAME
    try:
        return ImportRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return ImportRecord()
    except ValidationError as error:
        name, reason = describe_first_error(error)
        key = f"{name}: " if name else ""
        raise InputError(
            f"{path}: {key}{reason}; expected what `mri-stages import` wrote, or remove it"
        ) from None
