"""Models are added to params.yaml and removed from it, everywhere or not at all."""

from typing import Any

import pytest
import yaml

from mri_stages.config.loading import parse_yaml
from mri_stages.config.model_edits import (
    add_model,
    check_edit,
    list_named_models,
    remove_models,
)
from mri_stages.config.schema import RESERVED_NAMES, Params
from mri_stages.errors import ArgumentError, InputError
from tests.helpers.params import DEFAULT_PARAMS, apply_changes
from tests.helpers.params import Params as Values

SETTINGS = ["lr=0.1", "batch_size=2"]
NAMED_EVERYWHERE = {"studies.seed.models": ["conv", "small"]}


TEXT = yaml.safe_dump(DEFAULT_PARAMS, sort_keys=False)


def write_text(changes: dict[str, Any]) -> str:
    """Return the text of the default params with these changes."""
    text: str = yaml.safe_dump(apply_changes(DEFAULT_PARAMS, changes), sort_keys=False)
    return text


def remove(changes: dict[str, Any], names: list[str], substitute: str | None) -> Values:
    """Return the values after a removal from the default params with these changes."""
    values: Values = parse_yaml(remove_models(write_text(changes), names, substitute))
    return values


def test_list_named_models_names_the_keys() -> None:
    assert list_named_models(DEFAULT_PARAMS) == {
        "small": [
            "export.model",
            "studies.learning_rate.model",
            "studies.batch_size.model",
            "studies.leakage.model",
        ],
        "conv": ["studies.seed.models"],
    }


def test_remove_models_that_no_key_names() -> None:
    values = remove({}, ["conv_again", "conv_hot"], None)
    assert list(values["models"]) == ["small", "conv"]
    Params.model_validate(values)


def test_remove_models_lists_the_keys_that_name_them() -> None:
    with pytest.raises(InputError, match=r"export\.model.*studies\.leakage\.model.*--use"):
        remove({}, ["small"], None)


def test_remove_models_puts_the_substitute_everywhere() -> None:
    values = remove(NAMED_EVERYWHERE, ["small", "conv"], "conv_hot")
    assert list_named_models(values).keys() == {"conv_hot"}
    assert values["studies"]["seed"]["models"] == ["conv_hot"]
    assert values["cross_validation"]["models"] == {}
    Params.model_validate(values)


def test_remove_models_names_the_substitute_once_in_a_list() -> None:
    values = remove(NAMED_EVERYWHERE, ["small"], "conv")
    assert values["studies"]["seed"]["models"] == ["conv"]


def test_remove_models_keeps_the_other_names() -> None:
    values = remove({}, ["conv"], "conv_hot")
    assert values["export"] == {"model": "small"}
    assert values["cross_validation"]["models"] == {"small": "simple_nn2"}


@pytest.mark.parametrize("substitute", ["conv", "other", "small"])
def test_remove_models_refuses_another_substitute(substitute: str) -> None:
    with pytest.raises(InputError, match=substitute):
        remove({}, ["small", "conv"], substitute)


def test_remove_models_refuses_an_unknown_name() -> None:
    with pytest.raises(InputError, match=r"'other'.*small, conv"):
        remove({}, ["other"], None)


def test_remove_models_refuses_all() -> None:
    with pytest.raises(InputError, match="models add"):
        remove({}, list(DEFAULT_PARAMS["models"]), None)


def test_remove_models_refuses_a_model_behind_an_anchor() -> None:
    anchored_text = TEXT.replace("  conv_again:\n", "  twin: &twin\n").replace(
        "  conv_hot:\n", "  same: *twin\n  conv_hot:\n"
    )
    assert parse_yaml(anchored_text)["models"]["same"] == DEFAULT_PARAMS["models"]["conv"]
    for name in ("twin", "same"):
        with pytest.raises(InputError, match="anchors"):
            remove_models(anchored_text, [name], None)


def test_add_model_adds_its_keys() -> None:
    text = add_model(TEXT, "mine", "resnet", [*SETTINGS, "augment={shift: 1, flip: true}"])
    expected = {"arch": "resnet", "lr": 0.1, "batch_size": 2}
    expected["augment"] = {"shift": 1, "flip": True}
    expected_params = apply_changes(DEFAULT_PARAMS, {"models.mine": expected})
    assert parse_yaml(text) == expected_params


@pytest.mark.parametrize("cross_validated", [{"small": "simple_nn2"}, {}])
def test_add_model_to_the_cross_validation(cross_validated: dict[str, str]) -> None:
    text = write_text({"cross_validation.models": cross_validated})
    values = parse_yaml(add_model(text, "mine", "resnet", SETTINGS, cross_validate=True))
    assert values["cross_validation"]["models"] == {**cross_validated, "mine": "resnet"}


@pytest.mark.parametrize(
    ("name", "arch", "settings", "named"),
    [
        ("small", "resnet", SETTINGS, r"models\.small exists"),
        ("mine", "renset", SETTINGS, "resnet"),
        ("9", "resnet", SETTINGS, "9"),
        ("mine", "resnet", [*SETTINGS, "epoch=1"], "epochs"),
        ("mine", "resnet", [*SETTINGS, "epochs=0"], r"mine\.epochs is 0"),
    ],
)
def test_add_model_refuses_wrong_values(
    name: str, arch: str, settings: list[str], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        add_model(TEXT, name, arch, settings)


@pytest.mark.parametrize("name", RESERVED_NAMES)
def test_add_model_refuses_a_reserved_name(name: str) -> None:
    with pytest.raises(InputError, match=f"models.{name}"):
        add_model(TEXT, name, "resnet", SETTINGS)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["lr=1"], "batch_size"),
        ([], "lr and batch_size"),
        (["lr", "batch_size=2"], "'lr'"),
        (["lr=1", "lr=2", "batch_size=2"], "twice"),
        (["lr=[", "batch_size=2"], "lr="),
        ([*SETTINGS, "arch=resnet"], "arch"),
    ],
)
def test_add_model_refuses_wrong_arguments(settings: list[str], named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        add_model(TEXT, "mine", "resnet", settings)


def test_check_edit_refuses_other_values() -> None:
    with pytest.raises(InputError, match="layout"):
        check_edit(TEXT, apply_changes(DEFAULT_PARAMS, {"train.epochs": 7}))
