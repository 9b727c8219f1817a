"""The formats of numbers in pages and tables."""

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


def format_p(p: float) -> str:
    """Return a p value with three decimals, or that it is below the smallest one that is shown."""
    return f"< {SMALLEST_SHOWN_P}" if p < SMALLEST_SHOWN_P else f"{p:.3f}"


def format_p_equation(p: float) -> str:
    """Return `p = ...`, or `p < ...` below the smallest one that is shown."""
    return f"p {format_p(p)}" if p < SMALLEST_SHOWN_P else f"p = {format_p(p)}"
