"""Upgrade a params.yaml of an earlier version: write missing keys, and `none` as nothing.

The file is changed through ruamel.yaml, as DVC changes it in an experiment: comments stay, and the
layout is DVC's.
"""

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from mri_stages.errors import InputError

# What a key that is missing gets: the value with which results stay as they were before the key
# existed. Where no value does that, it is the value of the params.yaml that ships with the project.
UPGRADE_VALUES: dict[str, Any] = {
    "data.scaled": "saved",
    "sample.subjects": 60,
    "sample.slices": 20,
    "sample.height": 64,
    "sample.width": 56,
    "sample.seed": 0,
    "train.epochs": 10,
    "train.seed": 0,
    "train.shuffle": False,
    "train.threads": 1,
    "train.precision": "float32",
    "train.cuda_graphs": False,
    "train.optimizer": "sgd",
    "train.momentum": 0,
    "train.weight_decay": 0,
    "train.schedule": "constant",
    "train.warmup_epochs": 0,
    "train.loss": "cross_entropy",
    "train.label_smoothing": 0,
    "train.class_weights": None,
    "train.augment": None,
    "train.validation": 0,
    "train.patience": None,
    "train.ensemble": 1,
    "evaluation.negative_class": None,
    "evaluation.threshold": 0.5,
    "evaluation.covariates": None,
    "evaluation.groups": None,
    "cross_validation.folds": 5,
    "cross_validation.repeats": 1,
    "cross_validation.seed": 0,
    "cross_validation.stratify": None,
    "cross_validation.inner_folds": 0,
    "cross_validation.models": {},
    "studies.seed.seeds": [0, 1, 2, 3, 4],
    "studies.learning_rate.values": [1.0e-8, 1.0e-4, 0.001, 0.01, 0.1, 1, 10],
    "studies.learning_rate.seeds": [0, 1, 2, 3, 4],
    "studies.batch_size.values": [1, 5, 15, 100, "all"],
    "studies.batch_size.seeds": [0, 1, 2, 3, 4],
    "studies.leakage.shares": [0, 25, 50, 75, 100],
    "studies.leakage.seeds": [0, 1, 2, 3, 4],
}

# These keys said "nothing" by the word none.
KEYS_THAT_HELD_NONE = ("class_weights", "augment")


def can_write_key(dotted_key: str) -> bool:
    """Return whether an upgrade writes the key, or a key below it."""
    return any(f"{key}.".startswith(f"{dotted_key}.") for key in UPGRADE_VALUES)


def list_old_spellings(values: Any) -> list[str]:
    """Return the dotted keys of `train` and of models that hold the word none."""
    keys = []
    for name, group in list_recipes(values).items():
        for key in KEYS_THAT_HELD_NONE:
            if group.get(key) == "none":
                keys.append(f"{name}.{key}")
    return keys


def list_recipes(values: Any) -> dict[str, dict[str, Any]]:
    """Return the groups that may hold keys of a recipe: `train` and each model."""
    if not isinstance(values, dict):
        return {}
    recipes = {"train": values.get("train")}
    models = values.get("models")
    if isinstance(models, dict):
        for name, model in models.items():
            recipes[f"models.{name}"] = model
    return {name: group for name, group in recipes.items() if isinstance(group, dict)}


def upgrade_text(text: str) -> str:
    """Return the text of a params.yaml with all keys of this version; InputError if not YAML."""
    try:
        values = YAML().load(text)
    except (YAMLError, ValueError) as error:  # ValueError: of a date that does not exist
        raise InputError(f"params.yaml: not readable as YAML: {error}") from None
    if not isinstance(values, dict):
        raise InputError("params.yaml: no groups of keys, expected those of docs/parameters.md")

    for group in list_recipes(values).values():
        for key in KEYS_THAT_HELD_NONE:
            if group.get(key) == "none":
                group[key] = None
    for dotted_key, value in UPGRADE_VALUES.items():
        add_key(values, dotted_key, value)

    return dump_as_dvc(values)


def add_key(values: dict[str, Any], dotted_key: str, value: Any) -> None:
    """Set the key to the value if it is missing, and make the groups above it.

    InputError if one of these is no group: an upgrade cannot know what was meant.
    """
    *group_names, key = dotted_key.split(".")
    group = values
    for name in group_names:
        if group.get(name) is None:  # missing, or left empty
            group[name] = CommentedMap()
        group = group[name]
        if not isinstance(group, dict):
            raise InputError(f"params.yaml: {name} is {group!r}, expected a group of keys")
    group.setdefault(key, value)


def dump_as_dvc(values: Any) -> str:
    """Return the values as YAML in the layout of `dvc exp run --set-param`."""
    write_lists_in_lines(values)
    yaml = YAML()
    yaml.default_flow_style = False
    stream = io.StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()


def write_lists_in_lines(values: Any) -> None:
    """Change all lists from brackets to one item a line."""
    if isinstance(values, dict):
        for value in values.values():
            write_lists_in_lines(value)
    if isinstance(values, CommentedSeq) and values:  # an empty one would move behind its comment
        values.fa.set_block_style()
