"""A stage names all params that decide its bytes: when all others change, its outs stay.

Every stage runs in this process on tiny data, then again with other values for all params that
it does not name.
"""

import copy
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mri_stages.config import schema
from tests.helpers.dvc_yaml import (
    ResolvedStage,
    read_all_definitions,
    read_definitions,
    resolve_stages,
)
from tests.helpers.params import Params, save_params
from tests.helpers.reference import flatten
from tests.helpers.stages import call_stage

BASE_PARAMS: Params = {
    "data": {"raw": "data/sample", "title": "Made-up images", "scaled": "saved"},
    "sample": {"subjects": 20, "slices": 5, "height": 16, "width": 18, "seed": 0},
    "train": {
        "epochs": 2,
        "seed": 3,
        "shuffle": False,
        "threads": 1,
        "precision": "float32",
        "cuda_graphs": False,
        "optimizer": "sgd",
        "momentum": 0.5,
        "weight_decay": 0.01,
        "schedule": "constant",
        "warmup_epochs": 0,
        "loss": "cross_entropy",
        "label_smoothing": 0.1,
        "class_weights": None,
        "augment": None,
        "validation": 0.5,
        "patience": 2,
        "ensemble": 1,
    },
    "models": {
        "small": {"arch": "simple_nn2", "lr": 0.01, "batch_size": 5},
        "large": {"arch": "simple_nn1", "lr": 0.02, "batch_size": 6},
    },
    "evaluation": {
        "negative_class": "NonDemented",
        "threshold": 0.5,
        "covariates": None,
        "groups": None,
    },
    "cross_validation": {
        "folds": 2,
        "repeats": 2,
        "seed": 0,
        "stratify": None,
        "inner_folds": 2,
        "models": {"small": "simple_nn2"},
    },
    "export": {"model": "small"},
    "studies": {
        "seed": {"models": ["small"], "seeds": [0, 1]},
        "learning_rate": {"model": "small", "values": [0.01, 0.1], "seeds": [0, 1]},
        "batch_size": {"model": "small", "values": [4, "all"], "seeds": [0, 1]},
        "leakage": {"model": "small", "shares": [0, 100], "seeds": [0, 1]},
    },
}

# Another legal value for each key. Lists of values keep theirs: each of them is a stage.
OTHER_PARAMS: Params = {
    "data": {"raw": "data/raw", "title": "Another title", "scaled": "on_the_fly"},
    "sample": {"subjects": 13, "slices": 6, "height": 17, "width": 19, "seed": 1},
    "train": {
        "epochs": 3,
        "seed": 4,
        "shuffle": True,
        "threads": 2,
        "precision": "bf16",
        "cuda_graphs": True,
        "optimizer": "adam",
        "momentum": 0,
        "weight_decay": 0.02,
        "schedule": "cosine",
        "warmup_epochs": 1,
        "loss": "own",
        "label_smoothing": 0,
        "class_weights": "balanced",
        "augment": {"shift": 1, "flip": True},
        "validation": 0.4,
        "patience": None,
        "ensemble": 2,
    },
    "models": {
        "small": {"arch": "simple_nn1", "lr": 0.03, "batch_size": 7, "epochs": 4},
        "large": {"arch": "simple_nn2", "lr": 0.04, "batch_size": 8, "epochs": 4},
    },
    "evaluation": {
        "negative_class": None,
        "threshold": 0.3,
        "covariates": ["age"],
        "groups": ["sex"],
    },
    "cross_validation": {
        "folds": 3,
        "repeats": 1,
        "seed": 1,
        "stratify": ["sex"],
        "inner_folds": 3,
        "models": {"small": "simple_nn1", "large": "simple_nn2"},
    },
    "export": {"model": "large"},
    "studies": {
        "seed": {"models": ["small", "large"], "seeds": [2, 3]},
        "learning_rate": {"model": "large", "values": [0.01, 0.1, 1], "seeds": [2, 3]},
        "batch_size": {"model": "large", "values": [4, "all", 8], "seeds": [2, 3]},
        "leakage": {"model": "large", "shares": [0, 100, 50], "seeds": [2, 3]},
    },
}

# The stages before any training.
FAST_STAGES = ("sample", "load", "plot_sample", "assign_folds", "scale")
SLOW_STAGES = [name for name in read_all_definitions() if name not in FAST_STAGES]


def change_every_param_except(named_keys: Iterable[str]) -> Params:
    """Return other params, except for the base's values of the named keys and groups."""
    params = copy.deepcopy(OTHER_PARAMS)
    for dotted_key in named_keys:
        if dotted_key == "":
            return copy.deepcopy(BASE_PARAMS)
        *groups, key = dotted_key.split(".")
        source: Any = BASE_PARAMS
        target: Any = params
        for group in groups:
            source = source[group]
            target = target[group]
        target[key] = copy.deepcopy(source[key])

    # It repeats the architectures of `models`.
    for name in params["cross_validation"]["models"]:
        params["cross_validation"]["models"][name] = params["models"][name]["arch"]
    return params


def run_stages(folder: Path, stages: Iterable[ResolvedStage]) -> None:
    for stage in stages:
        call_stage(folder, stage.module.removeprefix("stages."), *stage.arguments)


def read_outs(folder: Path, stage: ResolvedStage) -> dict[str, bytes]:
    """Return the content of all files at the places of a stage's outs."""
    files = []
    for out in stage.outs:
        path = folder / out
        files += [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def select_stages(stages: Iterable[ResolvedStage], names: Iterable[str]) -> list[ResolvedStage]:
    return [stage for stage in stages if stage.name.partition("@")[0] in names]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> list[ResolvedStage]:
    """Return all stages for the base params."""
    folder = tmp_path_factory.mktemp("resolved")
    save_params(folder, BASE_PARAMS)
    return resolve_stages(folder)


@pytest.fixture(scope="module")
def prepared(stages: list[ResolvedStage], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the fast stages ran."""
    folder = tmp_path_factory.mktemp("prepared")
    save_params(folder, BASE_PARAMS)
    run_stages(folder, select_stages(stages, FAST_STAGES))
    return folder


@pytest.fixture(scope="module")
def finished(
    stages: list[ResolvedStage], prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a folder in which all stages ran."""
    folder = tmp_path_factory.mktemp("finished") / "copy"
    shutil.copytree(prepared, folder)
    run_stages(folder, select_stages(stages, SLOW_STAGES))
    return folder


def check_outs_stay(stages: list[ResolvedStage], folder: Path, name: str) -> None:
    """Run the first stage of this name with other params; its outs must have the same bytes."""
    stage = select_stages(stages, [name])[0]
    expected_outs = read_outs(folder, stage)
    assert expected_outs != {}
    for out in stage.outs:
        if (folder / out).is_dir():
            shutil.rmtree(folder / out)
        else:
            (folder / out).unlink()

    save_params(folder, change_every_param_except(stage.params))
    run_stages(folder, [stage])

    outs = read_outs(folder, stage)
    assert outs.keys() == expected_outs.keys()
    assert [file for file in outs if outs[file] != expected_outs[file]] == []


def test_other_params_differ_in_every_key() -> None:
    base_values = flatten(BASE_PARAMS)
    other_values = flatten(OTHER_PARAMS)
    common_keys = base_values.keys() & other_values.keys()
    same = {key for key in common_keys if other_values[key] == base_values[key]}
    assert same == set()


@pytest.mark.parametrize(
    "named_keys", [(), ("train",), ("models.small",), ("models", "cross_validation.models")]
)
def test_changed_params_are_legal(named_keys: tuple[str, ...]) -> None:
    schema.Params.model_validate(change_every_param_except(named_keys))


def test_files_of_the_studies_are_read() -> None:
    assert "leakage_permuted" in read_definitions("studies/dvc.yaml")


@pytest.mark.parametrize("name", FAST_STAGES)
def test_fast_stage_names_its_params(
    stages: list[ResolvedStage], prepared: Path, tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path / "copy"))
    check_outs_stay(stages, folder, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW_STAGES)
def test_slow_stage_names_its_params(
    stages: list[ResolvedStage], finished: Path, tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "copy"))
    check_outs_stay(stages, folder, name)
