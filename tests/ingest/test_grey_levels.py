"""Grey levels against the formulas of DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""

import numpy as np
import pytest

from mri_stages.ingest.grey_levels import Window, apply_window, round_levels, stretch_levels

VALUES = np.arange(-20.0, 141)


def test_apply_window_is_that_of_the_standard() -> None:
    shares = (VALUES - (60 - 0.5)) / (80 - 1) + 0.5
    expected = np.rint(shares.clip(0, 1) * 255)
    np.testing.assert_array_equal(apply_window(VALUES, Window(60, 80)), expected)


def test_apply_window_takes_the_exact_function() -> None:
    expected = np.rint(((VALUES - 60) / 80 + 0.5).clip(0, 1) * 255)
    np.testing.assert_array_equal(apply_window(VALUES, Window(60, 80, "LINEAR_EXACT")), expected)


def test_stretch_levels_from_black_to_white() -> None:
    levels = stretch_levels(np.array([9, 10, 12, 20, 21.0]), low=10, high=20)
    assert levels.tolist() == [0, 0, 51, 255, 255]
    assert levels.dtype == np.uint8


@pytest.mark.parametrize(
    ("share", "level"),
    [
        (0, 0),
        (1, 255),
        (-1, 0),
        (2, 255),
        (np.nan, 0),
        (np.inf, 255),
        (0.4 / 255, 0),
        (0.6 / 255, 1),
    ],
)
def test_round_levels(share: float, level: int) -> None:
    assert round_levels(np.array([share])).tolist() == [level]
