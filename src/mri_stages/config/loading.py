"""Read params.yaml, with one-line errors that name the key."""

import re
import reprlib
from pathlib import Path

import yaml
from pydantic import ValidationError

from mri_stages import paths
from mri_stages.config.schema import Params
from mri_stages.errors import InputError


def read_params(path: Path = paths.PARAMS) -> Params:
    """Return the checked params.yaml; InputError that names the first wrong key."""
    try:
        return Params.model_validate(yaml.load(path.read_text(encoding="utf-8"), _Loader))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run in the folder that holds it") from None
    except ValidationError as error:
        raise InputError(f"{path}: {_first_error(error)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: not readable as YAML: {error}") from None


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Plain YAML in which `1e-8` is a number, as for DVC, and every key occurs once."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise ValueError(f"the key {twice[0]!r} occurs twice in a group")
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def _first_error(error: ValidationError) -> str:
    """Return the first wrong key, what was found there and what was expected."""
    kinds = ("Augment", "int", "float", "constrained-int", "literal['all']")
    errors = error.errors()
    # Where a value may be of several kinds, there is an error for each, and `loc` names the kind.
    keys = [".".join(str(p) for p in each["loc"] if p not in kinds) for each in errors]
    first, key = errors[0], keys[0] or "the file"
    match first["type"]:
        case "missing":
            return f"{key} is missing, expected a value; see docs/parameters.md"
        case "value_error":
            return f"{keys[0]}: {first['ctx']['error']}".removeprefix(": ")
    same = (each["msg"] for each, other in zip(errors, keys, strict=True) if other == keys[0])
    expected = " or ".join(message.removeprefix("Input should be ") for message in same)
    found, kind = reprlib.repr(first["input"]), type(first["input"]).__name__
    return f"{key} is {found} ({kind}), expected {expected}"
