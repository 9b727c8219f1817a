"""The formats of numbers in pages and tables."""


def format_value(value: str | float | None) -> str:
    """Return the text of a cell: a float with four decimals, or as 1.0e-08 where these say nothing.

    A boolean is yes or no, and None is a dash.
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    has_telling_decimals = value == 0 or 1e-3 <= abs(value) < 1e4
    return f"{value:z.4f}" if has_telling_decimals else f"{value:.1e}"


def format_score(value: float | None) -> str:
    """Return a figure with three decimals, never -0.000; a dash for None."""
    return "-" if value is None else f"{value:z.3f}"


def format_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return a figure with its 95 % confidence interval, if it has one."""
    if low is None or high is None:
        return format_score(value)
    return f"{format_score(value)} ({low:.3f} to {high:.3f})"
