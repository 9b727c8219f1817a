"""Pages, each from a Jinja template of this folder that holds its prose."""

from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


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
    environment.filters["embedded"] = lambda png: f"data:image/png;base64,{b64encode(png).decode()}"
    return environment.get_template(template).render(values).encode()


def format_value(value: str | float | None) -> str:
    """Return a value as text: floats with four decimals, or as 1.0e-08 where these say nothing."""
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
