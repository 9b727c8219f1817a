"""The params of the tests: small, and changed as data, never as text.

No test reads the params.yaml of the project, since its users change that file. A key is named by
its path with dots: `write_params(folder, {"train.epochs": 1, "models.small.lr": 0.1})`.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML

Params = dict[str, Any]

REMOVED: Any = object()  # as the value of a change: remove the key

DEFAULT_PARAMS: Params = {
    "data": {"raw": "data/raw", "title": "Made-up images", "scaled": "saved"},
    "sample": {"subjects": 8, "slices": 5, "height": 36, "width": 40, "seed": 0},
    "train": {
        "epochs": 2,
        "seed": 3,
        "shuffle": False,
        "threads": 1,
        "precision": "float32",
        "cuda_graphs": False,
        "optimizer": "sgd",
        "momentum": 0,
        "weight_decay": 0,
        "schedule": "constant",
        "warmup_epochs": 0,
        "loss": "cross_entropy",
        "label_smoothing": 0,
        "class_weights": None,
        "augment": None,
        "validation": 0,
        "patience": None,
        "ensemble": 1,
    },
    "models": {
        "small": {"arch": "simple_nn2", "lr": 0.01, "batch_size": 5},
        "conv": {"arch": "conv_nn2", "lr": 0.01, "batch_size": 4},
        "conv_again": {"arch": "conv_nn2", "lr": 0.01, "batch_size": 4},
        "conv_hot": {"arch": "conv_nn2", "lr": 1e30, "batch_size": 4},
    },
    "evaluation": {"negative_class": None, "threshold": 0.5, "covariates": None, "groups": None},
    "cross_validation": {
        "folds": 2,
        "repeats": 1,
        "seed": 0,
        "stratify": None,
        "inner_folds": 0,
        "models": {"small": "simple_nn2"},
    },
    "export": {"model": "small"},
    "studies": {
        "seed": {"models": ["conv"], "seeds": [0, 1]},
        "learning_rate": {"model": "small", "values": [0.01, 1e30], "seeds": [0, 1]},
        "batch_size": {"model": "small", "values": [4, "all"], "seeds": [0, 1]},
        "leakage": {"model": "small", "shares": [0, 100], "seeds": [0, 1]},
    },
}

# Changes of the default params that leave one small model.
ONE_MODEL: Params = {
    "models": {"small": DEFAULT_PARAMS["models"]["small"]},
    "studies.seed.models": ["small"],
}


def default_params() -> Params:
    """Return a new copy of the default params: four models of two epochs, two folds."""
    return copy.deepcopy(DEFAULT_PARAMS)


def apply_changes(params: Params, changes: Mapping[str, Any]) -> Params:
    """Return a copy of the params in which each dotted key has its new value, or is removed.

    The last part of a key may be new; the groups above it must exist.
    """
    params = copy.deepcopy(params)

    for dotted_key, value in changes.items():
        *groups, key = dotted_key.split(".")
        target = params
        for group in groups:
            target = target[group]

        if value is REMOVED:
            del target[key]
        else:
            target[key] = copy.deepcopy(value)

    return params


def write_params(
    folder: Path, changes: Mapping[str, Any] = {}, params: Params = DEFAULT_PARAMS
) -> None:
    """Write `folder`/params.yaml: `params` with the changes."""
    save_params(folder, apply_changes(params, changes))


def change_params(folder: Path, changes: Mapping[str, Any]) -> None:
    """Change keys of an existing `folder`/params.yaml, and leave the others."""
    save_params(folder, apply_changes(load_params(folder), changes))


def load_params(folder: Path) -> Params:
    """Return `folder`/params.yaml as data."""
    # YAML 1.2, as DVC reads it: there 1e-8 is a number.
    params: Params = YAML(typ="safe", pure=True).load(folder / "params.yaml")
    return params


def save_params(folder: Path, params: Params) -> None:
    text = yaml.safe_dump(params, sort_keys=False, allow_unicode=True)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
