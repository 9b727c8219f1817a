"""One self-contained HTML page of texts, tables and pictures, which opens offline."""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined


class Picture(NamedTuple):
    png: bytes
    alt: str  # what it shows, for those who cannot see it


class Listing(NamedTuple):
    text: str


class Share(NamedTuple):
    """A shaded cell of a table."""

    number: int
    share: float  # of the row, 0 to 1


class Table(NamedTuple):
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | float | bool | Share | None]]


class Section(NamedTuple):
    heading: str
    parts: Sequence[str | Table | Picture | Listing]


def page(title: str, lead: Sequence[str], sections: Sequence[Section]) -> str:
    """The page as HTML: `lead` are the sentences on top. All text is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {
        "base64": _base64,
        "number_columns": _number_columns,
        "shown": _shown,
    }
    environment.tests |= {
        "picture": lambda part: isinstance(part, Picture),
        "listing": lambda part: isinstance(part, Listing),
        "share": lambda cell: isinstance(cell, Share),
    }
    template = environment.get_template("page.html.jinja")
    return template.render(title=title, lead=lead, sections=sections)


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _shown(cell: Any) -> str:
    """A cell as text: floats with four decimals, or in powers of ten where these say nothing."""
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case Share():
            return str(cell.number)
        case float():
            return f"{cell:.4f}" if cell == 0 or 1e-3 <= abs(cell) < 1e4 else f"{cell:.1e}"
        case _:
            return str(cell)


def _number_columns(table: Table) -> set[int]:
    columns = enumerate(zip(*table.rows, strict=True))
    return {place for place, cells in columns if not any(isinstance(c, str) for c in cells)}
