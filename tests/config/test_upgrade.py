"""An upgrade writes what params.yaml lacks, in the layout of DVC, and changes no result."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mri_stages.commands import models
from mri_stages.config.loading import read_params
from mri_stages.config.run_history import ParamsLoader
from mri_stages.config.schema import Params
from mri_stages.config.upgrade import UPGRADE_VALUES, can_write_key, upgrade_text
from mri_stages.errors import InputError
from tests.helpers.params import REMOVED, default_params, load_params, write_params

OLD_TEXT = """\
# my numbers
train:
  epochs: 3  # few
  augment: none
models:
  mine:
    arch: simple_nn2
    class_weights: none
"""
EVALUATION = {"negative_class": None, "threshold": 0.5, "covariates": None, "groups": None}


def test_upgrade_text_writes_none_as_nothing() -> None:
    values = yaml.safe_load(upgrade_text(OLD_TEXT))
    assert values["train"]["augment"] is None
    assert values["models"]["mine"]["class_weights"] is None


def test_upgrade_text_keeps_values_and_comments() -> None:
    text = upgrade_text(OLD_TEXT)
    assert "# my numbers\n" in text
    assert "epochs: 3  # few\n" in text


def test_upgrade_text_adds_missing_keys_and_groups() -> None:
    values = yaml.safe_load(upgrade_text(OLD_TEXT))
    assert values["train"]["patience"] is None
    assert values["train"]["ensemble"] == 1
    assert values["evaluation"] == EVALUATION


def test_upgrade_text_fills_an_empty_group() -> None:
    values = yaml.safe_load(upgrade_text("train:\nevaluation:\n"))
    assert values["train"]["epochs"] == UPGRADE_VALUES["train.epochs"]
    assert values["evaluation"] == EVALUATION


def test_upgrade_text_keeps_an_empty_list_before_its_comment() -> None:
    line = "  freeze: []  # no part of the network\n"
    assert line in upgrade_text(f"a:\n{line}b: 1\n")


def test_upgrade_text_adds_nothing_to_a_model() -> None:
    values = yaml.safe_load(upgrade_text(OLD_TEXT))
    assert values["models"]["mine"].keys() == {"arch", "class_weights"}


def test_upgrade_text_twice_changes_nothing_more() -> None:
    text = upgrade_text(OLD_TEXT)
    assert upgrade_text(text) == text


@pytest.mark.parametrize("text", ["a: [", "title: 2020-13-45", "- 1", "train: 3\nmodels: 2"])
def test_upgrade_text_of_another_text(text: str) -> None:
    with pytest.raises(InputError, match=r"params\.yaml: "):
        upgrade_text(text)


@pytest.mark.parametrize("dotted_key", UPGRADE_VALUES)
def test_every_upgrade_value_is_legal(dotted_key: str) -> None:
    params = default_params()
    *groups, key = dotted_key.split(".")
    group = params
    for name in groups:
        group = group[name]
    assert key in group
    group[key] = UPGRADE_VALUES[dotted_key]
    Params.model_validate(params)


# With these values results are as before the key existed.
SEEDS = [0, 1, 2, 3, 4]
EARLIER_VALUES: dict[str, dict[str, Any]] = {
    "data": {"scaled": "saved"},
    "sample": {"subjects": 60, "slices": 20, "height": 64, "width": 56, "seed": 0},
    "train": {
        "epochs": 10,
        "seed": 0,
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
    "evaluation": EVALUATION,
    "cross_validation": {
        "folds": 5,
        "repeats": 1,
        "seed": 0,
        "stratify": None,
        "inner_folds": 0,
        "models": {},
    },
    "studies": {
        "seed": {"seeds": SEEDS},
        "learning_rate": {"values": [1e-8, 1e-4, 0.001, 0.01, 0.1, 1, 10], "seeds": SEEDS},
        "batch_size": {"values": [1, 5, 15, 100, "all"], "seeds": SEEDS},
        "leakage": {"shares": [0, 25, 50, 75, 100], "seeds": SEEDS},
    },
}


@pytest.mark.parametrize("group", EARLIER_VALUES)
def test_upgrade_text_keeps_results_as_before(group: str) -> None:
    values = yaml.load(upgrade_text("models: {}\n"), Loader=ParamsLoader)  # as DVC reads 1e-08
    assert values[group] == EARLIER_VALUES[group]


@pytest.mark.parametrize(
    ("key", "expected"),
    [("train.patience", True), ("train", True), ("trai", False), ("models.small.lr", False)],
)
def test_can_write_key(key: str, expected: bool) -> None:
    assert can_write_key(key) is expected


def test_upgrade_params_makes_the_file_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, {"train.augment": "none", "train.threads": REMOVED, "sample": REMOVED})
    models.main(["upgrade-params"])
    assert read_params().train.augment is None
    assert load_params(tmp_path)["sample"]["slices"] == 20


def test_upgrade_params_names_what_it_cannot_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, {"models.small.lr": REMOVED})
    with pytest.raises(InputError, match=r"models\.small\.lr is missing"):
        models.main(["upgrade-params"])


def test_upgrade_params_of_no_file_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"params\.yaml: no such file"):
        models.main(["upgrade-params"])
