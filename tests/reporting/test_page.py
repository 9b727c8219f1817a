import pytest
from jinja2 import UndefinedError

from mri_stages import paths
from mri_stages.reporting.page import describe_sample, render_page


def test_render_without_a_value_of_the_template_fails() -> None:
    with pytest.raises(UndefinedError):
        render_page("page.html.jinja", sections={})  # and no title


def test_sample_is_said_to_be_drawn() -> None:
    assert describe_sample(f"./{paths.SAMPLE}").startswith("A program drew")


def test_other_images_are_not_said_to_be_drawn() -> None:
    assert describe_sample("data/raw") == ""
