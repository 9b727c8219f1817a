"""p values, and their correction for their number."""

from collections.abc import Sequence
from typing import NamedTuple


class PValue(NamedTuple):
    """A p value, and whether it is the lowest one that its resamples can show.

    No resample of the lowest one is as extreme as what was observed. More resamples may give a
    lower p, so it says "at most".
    """

    value: float
    is_floor: bool = False


def correct_by_holm(p_values: Sequence[PValue]) -> list[PValue]:
    """Return the p values corrected for their number (Holm, Scand. J. Statist. 6 (1979) 65).

    A corrected one is the largest of its own and the smaller ones, each times its factor. It is at
    most so large where that one is. 1 is no bound that says anything.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index].value)
    corrected = list(p_values)
    value = 0.0
    is_floor = True
    for rank, index in enumerate(order):
        product = (len(order) - rank) * p_values[index].value
        if product > value:
            is_floor = p_values[index].is_floor
        elif product == value:
            is_floor = is_floor and p_values[index].is_floor
        value = max(value, product)
        corrected[index] = PValue(min(value, 1.0), is_floor and value < 1)
    return corrected
