import pytest
from jinja2 import UndefinedError

from mri_stages.reporting.page import render_page


def test_render_without_a_value_of_the_template_fails() -> None:
    with pytest.raises(UndefinedError):
        render_page("page.html.jinja", sections={})  # and no title
