"""The correction of p values for their number."""

from collections.abc import Sequence

import numpy as np


def correct_by_holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values corrected for their number (Holm, Scand. J. Statist. 6 (1979) 65)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(factors * np.asarray(p_values)[order])
    return [min(float(p), 1.0) for p in corrected]
