import pytest

from mri_stages.reporting.numbers import (
    format_interval,
    format_p_equation,
    format_score,
    format_value,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (3, "3"),
        ("a", "a"),
        (-0.25, "-0.250"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (1e-8, "1.0e-08"),
        (0.001, "0.001"),
        (0.0009, "9.0e-04"),
        (9999.5, "9999.500"),
        (1e4, "1.0e+04"),
    ],
)
def test_value_keeps_the_digits_that_say_something(value: str | float | None, text: str) -> None:
    assert format_value(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.12345, "0.123"), (-0.0001, "0.000")])
def test_score_has_three_decimals(value: float | None, text: str) -> None:
    assert format_score(value) == text


def test_interval_stands_in_brackets() -> None:
    assert format_interval(0.5, 0.25, 0.75) == "0.500 (0.250 to 0.750)"


@pytest.mark.parametrize("value", [None, 0.5])
def test_interval_is_left_out_where_there_is_none(value: float | None) -> None:
    assert format_interval(value, None, None) == format_score(value)


@pytest.mark.parametrize(
    ("p", "text"), [(0.25, "p = 0.250"), (0.001, "p = 0.001"), (0.0009, "p < 0.001")]
)
def test_p_is_never_shown_as_zero(p: float, text: str) -> None:
    assert format_p_equation(p, is_floor=False) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.001, "p <= 0.001"),
        (0.002, "p <= 0.002"),
        (3 * 0.001, "p <= 0.003"),
        (0.0042, "p <= 0.005"),  # rounded down, it would claim too much
        (0.0002, "p < 0.001"),
    ],
)
def test_lowest_p_of_resamples_is_shown_as_a_bound(p: float, text: str) -> None:
    assert format_p_equation(p, is_floor=True) == text
