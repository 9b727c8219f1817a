"""Render pages, each from a Jinja template of this folder that holds its prose."""

from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mri_stages import paths
from mri_stages.reporting.numbers import format_value

SAMPLE_NOTE = (
    "A program drew these images (src/mri_stages/ingest/phantoms.py). They show nobody, so no "
    "figure here says how well a model recognises a disease."
)


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


def describe_sample(raw_folder: str) -> str:
    """Return that the images are drawn, where they are the sample; else nothing."""
    return SAMPLE_NOTE if Path(raw_folder) == paths.SAMPLE else ""


def embed_png(png: bytes) -> str:
    """Return a picture as the address of an image, so that the page needs no other file."""
    return f"data:image/png;base64,{b64encode(png).decode()}"
