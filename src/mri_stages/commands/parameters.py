"""Write the table of docs/parameters.md, from the schema and the values of params.yaml."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

from mri_stages import paths
from mri_stages.config.schema import Group, Model, Params, Train
from mri_stages.console import OneLineParser
from mri_stages.storage.files import write_bytes

PAGE = Path("docs/parameters.md")
TABLE_HEAD = "| key | default | allowed | meaning |\n|---|---|---|---|\n"

# The words for a limit in a JSON schema.
LIMIT_WORDS = {
    "const": "",
    "minimum": "from ",
    "exclusiveMinimum": "above ",
    "maximum": "to ",
    "exclusiveMaximum": "below ",
}


def main(argv: Sequence[str]) -> None:
    OneLineParser(prog="mri-stages parameters", description=__doc__).parse_args(argv)
    defaults = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
    page = replace_table(PAGE.read_text(encoding="utf-8"), defaults)
    write_bytes(PAGE, page.encode())


def replace_table(page: str, defaults: Mapping[str, Any]) -> str:
    """Return the page with a new table of all keys; `defaults` are the values of params.yaml."""
    table = TABLE_HEAD + "".join(write_rows(Params, "", defaults))
    return re.sub(r"(^\|.*\n)+", lambda _: table, page, count=1, flags=re.MULTILINE)


def write_rows(group: type[Group], prefix: str, defaults: Any) -> Iterator[str]:
    """Yield a row per described key, each followed by those of the groups that it may hold."""
    schema = group.model_json_schema()["properties"]
    for key, field in group.model_fields.items():
        if group is Model and key in Train.model_fields:  # the text of `arch` speaks of all
            continue

        fallback = "" if field.is_required() else field.default
        default = defaults.get(key, fallback) if isinstance(defaults, Mapping) else fallback
        if field.description:
            shown_default = json.dumps(default).strip('"')
            meaning = " ".join(field.description.split())
            allowed = describe_allowed(schema[key])
            yield f"| `{prefix}{key}` | {shown_default} | {allowed} | {meaning} |\n"

        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Group):
                name = f"{prefix}{key}.M." if kind is Model else f"{prefix}{key}."
                yield from write_rows(kind, name, default)


def describe_allowed(schema: Mapping[str, Any]) -> str:
    """Return the choices, the range or else the type of a JSON schema."""
    if "items" in schema:
        return f"list: {describe_allowed(schema['items'])}"
    if "anyOf" in schema:
        return " or ".join(describe_allowed(kind) for kind in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(schema["enum"])
    limits = [f"{word}{schema[key]}" for key, word in LIMIT_WORDS.items() if key in schema]
    if limits:
        return " ".join(limits)
    kind: str = schema.get("type", "group")
    return kind
