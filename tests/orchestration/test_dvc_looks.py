"""How many recipes were scored on the folds of now."""

import asyncio
import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from mri_stages.orchestration.dvc_looks import (
    Looks,
    collect_recipes,
    count_looks,
    format_recipe,
)
from tests.helpers.locked_projects import (
    FOLDS_HASH,
    LOCK,
    Params,
    commit,
    cross_validate,
    lock_stage,
    make_entry,
    save_experiment,
    start_project,
)
from tests.helpers.params import DEFAULT_PARAMS

TRAIN = DEFAULT_PARAMS["train"]
MODEL = DEFAULT_PARAMS["models"]["small"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Make a project with the committed result of one recipe; return its params."""
    monkeypatch.chdir(tmp_path)
    params = start_project("net")
    cross_validate(params, "net")
    commit()
    return params


def count() -> Looks:
    return asyncio.run(count_looks())


def cache_run(recipe: Any, folds_hash: str = FOLDS_HASH, name: str = "a") -> None:
    """Write a run of `cross_validate@net` into the run cache."""
    entry = make_entry({"data/assignment.csv": folds_hash}, {"data/folds/net.csv": "1"}, recipe)
    path = Path(".dvc/cache/runs/aa/aaaa", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(entry, sort_keys=False))


def test_looks_are_those_of_commits_and_experiments(project: Params) -> None:
    assert count().n_recipes == 1
    project["models"]["net"]["lr"] = 0.2
    cross_validate(project, "net")
    save_experiment("other")
    assert count().n_recipes == 2
    project["train"]["epochs"] = 30
    cross_validate(project, "net")
    assert count().n_recipes == 3


def test_looks_are_those_of_the_run_cache(project: Params) -> None:
    assert not count().has_run_cache
    cache_run({"models.net": {"arch": "small_cnn", "lr": 0.3}, "train": {"epochs": 3}})
    assert count() == Looks(has_folds=True, n_recipes=2, has_run_cache=True)


def test_looks_count_a_recipe_once(project: Params) -> None:
    """A model of another name, or of other code, may have the same recipe."""
    recipe = {"models.again": project["models"]["net"], "train": project["train"]}
    cache_run(recipe, name="a")
    cache_run(recipe | {"cross_validation.seed": 0}, name="b")
    assert count().n_recipes == 1


def test_looks_do_not_count_other_folds(project: Params) -> None:
    recipe = {"models.net": {"arch": "small_cnn", "lr": 0.3}, "train": {"epochs": 3}}
    cache_run(recipe, folds_hash="0" * 32)
    assert count().n_recipes == 1


def test_looks_do_not_count_a_stage_that_trains_nothing(project: Params) -> None:
    lock_stage("neighbours", {"data/assignment.csv": FOLDS_HASH}, {}, {"cross_validation.seed": 0})
    lock_stage("other", {"data/assignment.csv": FOLDS_HASH}, {}, {"models.net": {"lr": 7}})
    assert count().n_recipes == 1


@pytest.mark.parametrize(
    "recipe",
    [
        {"models.net": None, "train": {"epochs": 3}},
        {"models.net.arch": "mlp", "train": {"epochs": 3}},
        {"models.net": {"lr": 1, 2: 3}, "train": {"epochs": 3}},
        {"models.net": {"options": {"a": 1, 2: 3}}, "train": {"epochs": 3}},
        {"models.net": {"options": {"a": [{"b": 1, None: 3}]}}, "train": {"epochs": 3}},
        {"models.net": {"options": {date(2026, 1, 1): 3}}, "train": {"epochs": 3}},
        {1: 2},
        [],
    ],
)
def test_looks_leave_out_an_entry_of_another_layout(project: Params, recipe: Any) -> None:
    cache_run(recipe)
    assert count() == Looks(has_folds=True, n_recipes=1, has_run_cache=True)


@pytest.mark.parametrize("value", [math.nan, date(2026, 1, 1), {"a", "b"}, b"x"])
def test_looks_count_a_recipe_with_a_value_of_any_kind(project: Params, value: Any) -> None:
    cache_run({"models.net": {"arch": "small_cnn", "lr": value}, "train": {"epochs": 3}})
    assert count().n_recipes == 2


@pytest.mark.parametrize(
    "line",
    [
        "  params.yaml: [",
        "  - train",
        "  params.yaml: 2024-13-45",
        "  params.yaml: !!bool x",
        "  params.yaml: !!timestamp x",
        "  params.yaml: !!int ''",
    ],
)
def test_looks_leave_out_an_entry_that_is_not_readable(line: str) -> None:
    assert collect_recipes([f"params:\n{line}\nouts:\n- md5: {FOLDS_HASH}\n"], FOLDS_HASH) == set()


def test_looks_without_locked_folds_are_not_known(project: Params) -> None:
    LOCK.unlink()
    assert count() == Looks(has_folds=False)


@pytest.mark.parametrize("n_recipes", [1, 23])
def test_looks_name_their_number_as_a_bound(n_recipes: int) -> None:
    text = Looks(True, n_recipes).describe()
    assert f"at least {n_recipes} " in text.lower()


@pytest.mark.parametrize("has_run_cache", [False, True])
def test_looks_say_where_there_is_no_run_cache(has_run_cache: bool) -> None:
    text = Looks(True, 2, has_run_cache).describe()
    assert ("no run cache" in text) != has_run_cache


def test_recipe_of_an_older_version_is_the_same() -> None:
    """It had neither `ensemble` nor null for nothing, nor `freeze`."""
    old = {key: value for key, value in TRAIN.items() if key != "ensemble"}
    old |= {"class_weights": "none", "augment": "none"}
    assert format_recipe(old, MODEL) == format_recipe(TRAIN, MODEL | {"freeze": []})


def test_recipe_is_what_a_model_trains_with() -> None:
    """A key of `train` that the model overrides has no effect."""
    expected = format_recipe(TRAIN, MODEL | {"epochs": 7})
    assert format_recipe(TRAIN | {"epochs": 9}, MODEL | {"epochs": 7}) == expected
    assert format_recipe(TRAIN | {"threads": 8, "momentum": 0.0}, MODEL | {"epochs": 7}) == expected


def test_recipe_of_weights_in_another_place_is_the_same() -> None:
    texts = set()
    for file in ("a.pt", "b.pt"):
        weights = {"file": file, "sha256": "0" * 64}
        texts.add(format_recipe(TRAIN, MODEL | {"weights": weights}))
    assert len(texts) == 1


@pytest.mark.parametrize("change", [{"lr": 0.02}, {"seed": 8}, {"arch": "resnet"}])
def test_recipe_differs_by_a_value(change: dict[str, Any]) -> None:
    assert format_recipe(TRAIN, MODEL | change) != format_recipe(TRAIN, MODEL)
