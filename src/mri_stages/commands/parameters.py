"""Write the table of docs/parameters.md, from the schema and the values of params.yaml."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

from mri_stages import paths
from mri_stages.config.schema import Group, Model, Params, Train
from mri_stages.console import OneLineParser
from mri_stages.storage.files import write_bytes

PAGE = Path("docs/parameters.md")
LIMITS = {"const": "", "minimum": "from ", "exclusiveMinimum": "above ", "maximum": "to "}
LIMITS |= {"exclusiveMaximum": "below "}


def with_table(page: str, values: dict[str, Any]) -> str:
    """Return the page with a new table; `values` are the defaults."""
    head = ["| key | default | allowed | meaning |\n", "|---|---|---|---|\n"]
    table = "".join([*head, *rows(Params, "", values)])
    return re.sub(r"(^\|.*\n)+", lambda _: table, page, count=1, flags=re.MULTILINE)


def rows(group: type[Group], prefix: str, values: Any) -> Iterator[str]:
    """Yield a row per described key, each followed by those of the groups that it may hold."""
    schema = group.model_json_schema()["properties"]
    for key, field in group.model_fields.items():
        if group is Model and key in Train.model_fields:  # the text of `arch` speaks of all
            continue
        value = values.get(key, "") if isinstance(values, dict) else ""
        if field.description:
            default, text = json.dumps(value).strip('"'), " ".join(field.description.split())
            yield f"| `{prefix}{key}` | {default} | {allowed(schema[key])} | {text} |\n"
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Group):
                yield from rows(kind, f"{prefix}{key}.{'M.' if kind is Model else ''}", value)


def allowed(kind: dict[str, Any]) -> str:
    """Return the choices, the range or else the type of a JSON schema."""
    if "items" in kind:
        return f"list: {allowed(kind['items'])}"
    limits = " ".join(f"{word}{kind[key]}" for key, word in LIMITS.items() if key in kind)
    choices = " or ".join(map(allowed, kind.get("anyOf", []))) or ", ".join(kind.get("enum", []))
    return choices or limits or kind.get("type", "group")


def main(argv: Sequence[str]) -> None:
    OneLineParser(prog="mri-stages parameters", description=__doc__).parse_args(argv)
    defaults = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
    write_bytes(PAGE, with_table(PAGE.read_text(encoding="utf-8"), defaults).encode())
