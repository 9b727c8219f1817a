"""Add models to params.yaml, and remove them everywhere.

Each edit is checked twice before its text is returned: its values are those that were meant, and
the schema accepts them.
"""

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from mri_stages import paths
from mri_stages.config.loading import check_params, parse_values, parse_yaml
from mri_stages.config.params_text import add_entry, remove_entry, set_value
from mri_stages.config.schema import Model, Train
from mri_stages.errors import ArgumentError, InputError

# Keys that hold the name of a model, and lists of names. A model under `cross_validation.models`
# is cross-validated, so there no other one takes its place.
NAME_KEYS = (
    ("export", "model"),
    ("studies", "learning_rate", "model"),
    ("studies", "batch_size", "model"),
    ("studies", "leakage", "model"),
)
NAME_LISTS = (("studies", "seed", "models"),)

# What a model has to say itself: `train` has no such keys.
NEEDED_SETTINGS = tuple(
    key
    for key, field in Model.model_fields.items()
    if key not in Train.model_fields and key != "arch" and field.is_required()
)
EXAMPLE_SETTINGS = "lr=0.01 batch_size=32"


def get_value(values: Any, path: Sequence[str]) -> Any:
    """Return what stands at a path of keys; None where a key is missing."""
    for key in path:
        if not isinstance(values, dict):
            return None
        values = values.get(key)
    return values


def get_models(values: Any) -> dict[str, Any]:
    """Return the group `models`; InputError if there is none."""
    models = get_value(values, ("models",))
    if not isinstance(models, dict):
        raise InputError(f"{paths.PARAMS}: no group `models`, expected one with a model or more")
    return models


def list_named_models(values: Any) -> dict[str, list[str]]:
    """Return the models that `export` and the studies name, each with the keys that name it."""
    keys_by_model: dict[str, list[str]] = {}
    for path in NAME_KEYS:
        name = get_value(values, path)
        if isinstance(name, str):
            keys_by_model.setdefault(name, []).append(".".join(path))
    for path in NAME_LISTS:
        for name in get_value(values, path) or []:
            keys_by_model.setdefault(name, []).append(".".join(path))
    return keys_by_model


# Removing


def remove_models(text: str, names: Sequence[str], substitute: str | None) -> str:
    """Return the text of params.yaml without the models.

    substitute: the model that takes their place in `export` and the studies. Without it, a key
    there that names one of the models is an InputError.
    """
    values = parse_values(text)
    check_removal(values, names, substitute)

    new_text = text
    with refuse_other_layouts():
        for name in names:
            new_text = remove_entry(new_text, ("models", name))
            if name in (get_value(values, ("cross_validation", "models")) or {}):
                new_text = remove_entry(new_text, ("cross_validation", "models", name))
        if substitute is not None:
            new_text = replace_names(new_text, values, names, substitute)

    check_edit(new_text, remove_values(values, names, substitute))
    return new_text


def check_removal(values: Any, names: Sequence[str], substitute: str | None) -> None:
    """Raise InputError unless the models can be removed; it says what to do first."""
    models = get_models(values)
    for name in (*names, *([] if substitute is None else [substitute])):
        if name not in models:
            known = ", ".join(map(str, models))
            raise InputError(f"{paths.PARAMS}: no model {name!r}, expected one of {known}")
    if substitute in names:
        raise ArgumentError(f"--use: {substitute} is removed itself, expected another model")
    if set(names) == set(models):
        raise InputError(
            f"{paths.PARAMS}: these are all its models, expected that one is left; add another "
            "first: mri-stages models add NAME ARCH"
        )
    if substitute is None:
        check_not_named(values, names)


def check_not_named(values: Any, names: Collection[str]) -> None:
    """Raise InputError that lists the keys of `export` and the studies that name the models."""
    keys_by_model = list_named_models(values)
    namings = [
        f"{', '.join(keys_by_model[name])} ({name})" for name in names if name in keys_by_model
    ]
    if namings:
        raise InputError(
            f"{paths.PARAMS}: still named by {', '.join(namings)}; nothing was changed; "
            "--use OTHER puts another model in their place"
        )


def replace_names(text: str, values: Any, names: Collection[str], substitute: str) -> str:
    """Return the text in which `export` and the studies name the substitute instead."""
    for path in NAME_KEYS:
        if get_value(values, path) in names:
            text = set_value(text, path, substitute)

    for path in NAME_LISTS:
        old_list = get_value(values, path) or []
        removed_indices = [index for index, name in enumerate(old_list) if name in names]
        if removed_indices and substitute not in old_list:
            text = set_value(text, (*path, removed_indices.pop(0)), substitute)
        for index in reversed(removed_indices):
            text = remove_entry(text, (*path, index))
    return text


def substitute_names(old_list: Sequence[str], names: Collection[str], substitute: str) -> list[str]:
    """Return the list with the substitute instead of the names, once."""
    replaced = [substitute if name in names else name for name in old_list]
    if substitute in old_list:
        replaced = [name for name in old_list if name not in names]
    return list(dict.fromkeys(replaced))


def remove_values(values: Any, names: Collection[str], substitute: str | None) -> Any:
    """Return a copy of the values without the models, as the new text has to hold them."""
    values = copy.deepcopy(values)
    for name in names:
        del values["models"][name]
        cross_validated = get_value(values, ("cross_validation", "models")) or {}
        cross_validated.pop(name, None)
    if substitute is None:
        return values

    for path in NAME_KEYS:
        if get_value(values, path) in names:
            get_value(values, path[:-1])[path[-1]] = substitute
    for path in NAME_LISTS:
        old_list = get_value(values, path)
        if old_list:
            new_list = substitute_names(old_list, names, substitute)
            get_value(values, path[:-1])[path[-1]] = new_list
    return values


# Adding


def add_model(
    text: str, name: str, arch: str, settings: Sequence[str], cross_validate: bool = False
) -> str:
    """Return the text of params.yaml with another model.

    settings: texts KEY=VALUE, of which VALUE is YAML.
    """
    model = parse_settings(arch, settings)
    values = parse_values(text)
    if name in get_models(values):
        raise InputError(f"{paths.PARAMS}: models.{name} exists, expected another name")

    new_values = copy.deepcopy(values)
    new_values["models"][name] = read_plain(model)
    with refuse_other_layouts():
        new_text = add_entry(text, ("models", name), model)
        if cross_validate:
            new_text = add_entry(new_text, ("cross_validation", "models", name), arch)
            new_values["cross_validation"]["models"][name] = arch

    check_edit(new_text, new_values)
    return new_text


def parse_settings(arch: str, settings: Sequence[str]) -> CommentedMap:
    """Return the group of a model; ArgumentError for what is not KEY=VALUE, or is missing."""
    model = CommentedMap({"arch": arch})
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key:
            raise ArgumentError(f"{setting!r}: expected KEY=VALUE, such as lr=0.01")
        if key in model:
            raise ArgumentError(f"{setting!r}: {key} is given twice, expected it once")
        try:
            model[key] = YAML().load(value)
        except (YAMLError, ValueError):
            raise ArgumentError(f"{setting!r}: the value is not readable as YAML") from None

    missing_keys = [key for key in NEEDED_SETTINGS if key not in model]
    if missing_keys:
        raise ArgumentError(
            f"{' and '.join(missing_keys)} missing, expected as KEY=VALUE behind the architecture, "
            f"such as {EXAMPLE_SETTINGS}"
        )
    return model


def read_plain(model: Mapping[str, Any]) -> Any:
    """Return the values of a group of ruamel.yaml as params.yaml is read."""
    return parse_values(add_entry("models: {}\n", ("models", "m"), model))["models"]["m"]


def check_edit(text: str, expected_values: Any) -> None:
    """Raise InputError unless the text holds the values, and the schema accepts them."""
    with refuse_other_layouts():
        if parse_yaml(text) != expected_values:
            raise ValueError("other values than those that were meant")
    check_params(text)


@contextmanager
def refuse_other_layouts() -> Iterator[None]:
    """Turn errors of an edit into an InputError: the layout of the file is not the usual one."""
    try:
        yield
    except (YAMLError, yaml.YAMLError, KeyError, ValueError):
        raise InputError(
            f"{paths.PARAMS}: its layout (anchors?) does not allow this change, expected plain "
            "groups of keys; change it in an editor"
        ) from None
