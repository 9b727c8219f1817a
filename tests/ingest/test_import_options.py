"""The options of an import: their arguments, their limits, and what each one is by default."""

from argparse import ArgumentParser
from typing import Any

import pytest

from mri_stages.errors import ArgumentError
from mri_stages.ingest.import_options import (
    MAX_RESIZED_PIXELS,
    MAX_SEED,
    MAX_SIDE,
    Axis,
    Fit,
    ImportOptions,
    PixelOptions,
    add_pixel_arguments,
    collect_options,
)


def parse(*arguments: str) -> PixelOptions:
    """Return the options of a command line."""
    parser = ArgumentParser()
    add_pixel_arguments(parser)
    return collect_options(PixelOptions, parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--resize 4 5", {"resize": (4, 5)}),
        ("--resize 4 5 --fit crop", {"resize": (4, 5), "fit": Fit.CROP}),
        ("--window 40 80.5", {"window": (40, 80.5)}),
        ("--percentiles 0.5 99", {"percentiles": (0.5, 99)}),
        ("--axis sagittal", {"axis": Axis.SAGITTAL}),
        ("--slices 2:8:3", {"slices": "2:8:3"}),
        ("", {}),
    ],
)
def test_collect_options_of_arguments(arguments: str, expected: dict[str, Any]) -> None:
    assert parse(*arguments.split()) == PixelOptions(**expected)


def test_pixel_options_by_default() -> None:
    assert PixelOptions().model_dump() == {
        "window": None,
        "percentiles": None,
        "axis": "axial",
        "slices": None,
        "resize": None,
        "fit": "stretch",
    }


def test_import_options_by_default() -> None:
    own_names = ImportOptions.model_fields.keys() - PixelOptions.model_fields.keys()
    values = ImportOptions().model_dump(include=set(own_names))
    assert {name: value for name, value in values.items() if value not in (None, ())} == {
        "file_column": "file",
        "class_column": "class",
        "skip_missing": False,
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("text", "indices"),
    [("0:1", [0]), ("2:5", [2, 3, 4]), ("2:9:3", [2, 5, 8]), ("2:8:3", [2, 5]), ("9:11", [9, 10])],
)
def test_slice_range_is_that_of_python(text: str, indices: list[int]) -> None:
    assert list(PixelOptions(slices=text).slice_range) == indices


def test_slice_range_is_empty_without_the_option() -> None:
    assert not PixelOptions().slice_range


@pytest.mark.parametrize(
    "values",
    [
        {"window": (-1000, 1)},
        {"percentiles": (0, 100)},
        {"resize": (1, MAX_SIDE)},
        {"resize": (MAX_SIDE, 1)},
        {"resize": (MAX_RESIZED_PIXELS // MAX_SIDE, MAX_SIDE)},
        {"seed": 0},
        {"seed": MAX_SEED},
        {"test_share": 0.001},
        {"test_share": 0.999},
        {"class_level": 1, "subject_level": 1},
    ],
)
def test_import_options_at_a_limit(values: dict[str, Any]) -> None:
    assert ImportOptions(**values).model_dump(include=set(values)) == values


@pytest.mark.parametrize(
    "values",
    [
        {"window": (0, 0.999)},
        {"window": (float("nan"), 80)},
        {"window": (0, float("inf"))},
        {"percentiles": (-0.001, 99)},
        {"percentiles": (1, 100.001)},
        {"percentiles": (5, 5)},
        {"slices": "3:3"},
        {"slices": "0:3:0"},
        {"slices": "-1:3"},
        {"slices": "0:3\n"},
        {"resize": (0, 4)},
        {"resize": (4, 0)},
        {"resize": (MAX_SIDE + 1, 1)},
        {"resize": (1, MAX_SIDE + 1)},
        {"resize": (MAX_RESIZED_PIXELS // MAX_SIDE + 1, MAX_SIDE)},
        {"seed": -1},
        {"seed": MAX_SEED + 1},
        {"test_share": 0.0},
        {"test_share": 1.0},
        {"class_level": 0},
        {"subject_level": 0},
    ],
)
def test_import_options_beyond_a_limit_are_named(values: dict[str, Any]) -> None:
    (name,) = values
    with pytest.raises(ValueError, match=name):
        ImportOptions(**values)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--window 0 400 --percentiles 1 99", "--window, --percentiles"),
        ("--fit pad", "--fit pad"),
        ("--slices 5:2", "--slices: "),
    ],
)
def test_collect_options_names_what_is_wrong(arguments: str, named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        parse(*arguments.split())
