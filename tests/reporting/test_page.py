import pytest
from jinja2 import UndefinedError

from mri_stages.reporting.page import format_value, render_page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "-"), (True, "yes"), (False, "no"), (3, "3"), ("a", "a"), (-0.25, "-0.2500")),
        *((0.0, "0.0000"), (1e-8, "1.0e-08"), (0.001, "0.0010"), (0.0009, "9.0e-04")),
        *((9999.5, "9999.5000"), (1e4, "1.0e+04")),
    ],
)
def test_shown_keeps_the_digits_that_say_something(value: str | float | None, text: str) -> None:
    assert format_value(value) == text


def test_render_without_a_value_of_the_template_fails() -> None:
    with pytest.raises(UndefinedError):
        render_page("page.html.jinja", sections={})  # and no title
