"""Render pages, each from a Jinja template of this folder that holds its prose."""

from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mri_stages.reporting.numbers import format_value


def render_page(template: str, **values: Any) -> bytes:
    """Return the page of `template`, a file name, as UTF-8; in HTML, all text is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=".html" in template,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = format_value
    environment.filters["embedded"] = embed_png
    return environment.get_template(template).render(values).encode()


def embed_png(png: bytes) -> str:
    """Return a picture as the address of an image, so that the page needs no other file."""
    return f"data:image/png;base64,{b64encode(png).decode()}"
