"""p values, and their correction for their number."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self, TypeVar


class PValue(NamedTuple):
    """A p value, and whether it is the lowest one that its resamples can show.

    No resample of the lowest one is as extreme as what was observed. More resamples may give a
    lower p, so it says "at most".
    """

    value: float
    is_floor: bool = False


class TestedRow(Protocol):
    """A row of a table, a NamedTuple, with a p value; None where there is no test."""

    @property
    def p(self) -> float | None: ...

    @property
    def p_is_floor(self) -> bool: ...

    def _replace(self, *, p: float, p_is_floor: bool) -> Self: ...


Row = TypeVar("Row", bound=TestedRow)


def correct_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with p corrected for the number of those that have one."""
    p_values = [PValue(row.p, row.p_is_floor) for row in rows if row.p is not None]
    corrected = iter(correct_by_holm(p_values))
    new_rows = []
    for row in rows:
        if row.p is None:
            new_rows.append(row)
        else:
            p = next(corrected)
            new_rows.append(row._replace(p=p.value, p_is_floor=p.is_floor))
    return new_rows


def correct_by_holm(p_values: Sequence[PValue]) -> list[PValue]:
    """Return the p values corrected for their number (Holm, Scand. J. Statist. 6 (1979) 65).

    A corrected one is the largest of its own and the smaller ones, each times its factor. It is a
    bound where that largest one is. 1 never is one: every p is at most 1.
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
