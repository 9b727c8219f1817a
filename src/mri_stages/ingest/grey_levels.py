"""Turn values of scanners, of any range, into 256 grey levels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_windowing
from pydicom.valuerep import DSfloat

WHITE = 255


class Window(NamedTuple):
    """Which values are black and white: a centre and a width, as PS3.3 C.11.2.1.2 has them."""

    center: float
    width: float
    function: str = "LINEAR"


def apply_window(values: NDArray[np.float64], window: Window) -> NDArray[np.uint8]:
    """Return grey levels by a window, as DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3 say.

    ValueError if the width or the function is wrong.
    """
    view = Dataset()
    view.PhotometricInterpretation = "MONOCHROME2"
    # The results of pydicom then are 0 to 255.
    view.BitsStored = 8
    view.PixelRepresentation = 0
    view.WindowCenter = DSfloat(window.center, auto_format=True)
    view.WindowWidth = DSfloat(window.width, auto_format=True)
    view.VOILUTFunction = window.function
    return round_levels(apply_windowing(values, view) / WHITE)


def stretch_levels(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    """Return grey levels from black at `low` to white at `high`, which differ."""
    return round_levels((values - low) / (high - low))


def round_levels(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return shares of the range from black to white as grey levels; NaN becomes black."""
    limited: NDArray[np.float64] = np.nan_to_num(shares.clip(0, 1), nan=0)
    return np.rint(limited * WHITE).astype(np.uint8)
