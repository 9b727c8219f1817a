"""The formats of numbers in pages and tables."""

import math

SMALLEST_SHOWN_P = 0.001


def format_value(value: str | float | None) -> str:
    """Return the text of a cell: a float with three decimals, or as 1.0e-08 below these.

    A boolean is yes or no, and None is a dash.
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    has_telling_decimals = value == 0 or 1e-3 <= abs(value) < 1e4
    return format_score(value) if has_telling_decimals else f"{value:.1e}"


def format_score(value: float | None) -> str:
    """Return a figure with three decimals, never -0.000; a dash for None."""
    return "-" if value is None else f"{value:z.3f}"


def format_range(low: float | None, high: float | None) -> str:
    """Return a 95 % confidence interval in brackets; nothing where there is none."""
    if low is None or high is None:
        return ""
    return f"({low:z.3f} to {high:z.3f})"


def format_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return a figure with its 95 % confidence interval, if it has one."""
    return f"{format_score(value)} {format_range(low, high)}".strip()


def format_p(p: float, is_floor: bool) -> str:
    """Return a p value with three decimals, or that it is below the smallest one that is shown.

    is_floor: whether its resamples can show no lower one. Such a p is a bound, and rounded up.
    """
    if p < SMALLEST_SHOWN_P:
        return f"< {SMALLEST_SHOWN_P}"
    if is_floor:
        thousandths = math.ceil(round(p * 1000, 6))  # 0.003 * 1000 may be a little above 3
        return f"<= {thousandths / 1000:.3f}"
    return f"{p:.3f}"


def format_p_equation(p: float, is_floor: bool) -> str:
    """Return `p = ...`, or `p < ...` or `p <= ...` for a bound, see `format_p`."""
    text = format_p(p, is_floor)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
