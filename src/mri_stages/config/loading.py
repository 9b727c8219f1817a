"""Read params.yaml, with one-line errors that name the key."""

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mri_stages import paths
from mri_stages.config.schema import Params, Train
from mri_stages.config.upgrade import can_write_key, list_old_spellings
from mri_stages.config.yaml_kinds import read_kinds_as_dvc
from mri_stages.errors import InputError

# Where a value may be of several kinds, there is an error for each kind, whose place ends in the
# name that pydantic has for the kind.
KIND_NAMES = ("Augment", "int", "float", "constrained-int", "literal['all']", "literal['own']")

PATTERN_MESSAGE = "String should match pattern"  # of pydantic
UPGRADE_HINT = "'mri-stages models upgrade-params' writes what it knows"


def read_params(path: Path = paths.PARAMS) -> Params:
    """Return the checked params.yaml; InputError that names the first wrong or all missing keys."""
    return check_params(read_text(path), path)


def read_text(path: Path = paths.PARAMS) -> str:
    """Return the text of params.yaml; InputError if it is not there, or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run in the folder that holds it") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not readable as YAML: {error}") from None


def check_params(text: str, path: Path = paths.PARAMS) -> Params:
    """Return the checked params of a text; InputError that names the wrong key, as `read_params`.

    path: of the file, for the error.
    """
    return check_values(parse_values(text, path), path)


def check_values(values: Any, path: Path = paths.PARAMS) -> Params:
    """Return the checked params of the values of a file; InputError as `read_params`."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {describe_errors(error.errors(), values)}") from None


def parse_values(text: str, path: Path = paths.PARAMS) -> Any:
    """Return the values of a text, not checked; InputError that names the file if not YAML."""
    try:
        return parse_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: not readable as YAML: {error}") from None


class StrictLoader(yaml.SafeLoader):  # type: ignore[misc]
    """Plain YAML whose values are those that DVC reads, and in which every key occurs once."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Return the mapping; ValueError for a key that is no word, or that occurs twice."""
        node = super().compose_mapping_node(anchor)
        known_keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                raise ValueError(f"line {line}: a list or group is a key, expected a word")
            if key.value in known_keys:
                raise ValueError(f"the key {key.value!r} occurs twice in a group")
            known_keys.add(key.value)
        return node


read_kinds_as_dvc(StrictLoader)


def parse_yaml(text: str) -> Any:
    """Return the values of a YAML text; yaml.YAMLError or ValueError if it is not one."""
    return yaml.load(text, StrictLoader)


def describe_errors(errors: Sequence[ErrorDetails], values: Any) -> str:
    """Return what is wrong with the values, in one line.

    All that a params.yaml of an earlier version lacks or spells in another way is listed. Of other
    errors the first is described.
    """
    if not isinstance(values, dict):
        return "no groups of keys, expected those of docs/parameters.md"
    wrong_groups = list_wrong_groups(errors)
    if wrong_groups:  # Their missing keys would say less.
        key = find_key(wrong_groups[0])
        return describe_first_error([error for error in errors if find_key(error) == key])

    missing_keys = list_missing_keys(errors)
    old_keys = list_old_spellings(values)
    problems = []
    if missing_keys:
        verb = "is" if len(missing_keys) == 1 else "are"
        problems.append(f"{', '.join(missing_keys)} {verb} missing, expected a value")
    if old_keys:
        verb = "is" if len(old_keys) == 1 else "are"
        problems.append(f"{', '.join(old_keys)} {verb} 'none', expected null")

    if not problems:
        return describe_first_error(errors)

    own_keys = [key for key in missing_keys if not can_write_key(key)]
    if not old_keys and own_keys == missing_keys:
        return "; ".join([*problems, "see docs/parameters.md"])
    problems.append(UPGRADE_HINT)
    if own_keys:
        problems.append(f"only you know {', '.join(own_keys)}; see docs/parameters.md")
    return "; ".join(problems)


def list_wrong_groups(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors of groups that hold no keys: they are empty, a number, a text or a list."""
    return [
        error
        for error in errors
        if error["type"] in ("model_type", "dict_type") and error["input"] != "none"
    ]


def list_missing_keys(errors: Sequence[ErrorDetails]) -> list[str]:
    """Return the dotted keys that are missing; one that models take from `train` only there."""
    keys = [find_key(error) for error in errors if error["type"] == "missing"]
    if "train" in keys:
        return [key for key in keys if not find_key_in_train(key)]
    return [key for key in keys if find_key_in_train(key) not in keys]


def find_key_in_train(dotted_key: str) -> str:
    """Return from where a model takes the key: models.M.augment.flip is train.augment.flip.

    "" for a key that no model takes from there.
    """
    group, _, rest = dotted_key.partition(".")
    _, _, key = rest.partition(".")
    if group != "models" or key.partition(".")[0] not in Train.model_fields:
        return ""
    return f"train.{key}"


def describe_first_error(errors: Sequence[ErrorDetails]) -> str:
    """Return the first wrong key, what was found there and what was expected."""
    first_error = errors[0]
    key = find_key(first_error)
    if first_error["type"] == "value_error":  # of a check of the schema, which says all of it
        message = str(first_error["ctx"]["error"])
        return f"{key}: {message}" if key else message

    value = first_error["input"]
    expected = describe_expected(errors, key)
    return f"{key or 'the file'} is {reprlib.repr(value)} ({type(value).__name__}), {expected}"


def find_key(error: ErrorDetails) -> str:
    """Return the dotted key of an error, such as models.resnet.lr; "" for the whole file."""
    return ".".join(str(part) for part in error["loc"] if part not in KIND_NAMES)


def describe_expected(errors: Sequence[ErrorDetails], key: str) -> str:
    """Return what the key may hold: one phrase for each kind of value that is allowed there."""
    messages = [error["msg"] for error in errors if find_key(error) == key]
    phrases = [
        message.removeprefix("Input should be ").replace(PATTERN_MESSAGE, "a text like")
        for message in messages
    ]
    return f"expected {' or '.join(phrases)}"
