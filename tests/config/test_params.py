"""params.yaml is read as it is written, or refused with one line that names the key."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mri_stages.config.loading import parse_yaml, read_params
from mri_stages.config.schema import Augment, Export, Group, Model, Params, Recipe, Train
from mri_stages.errors import InputError
from tests.helpers.dvc_yaml import read_all_definitions
from tests.helpers.params import ONE_MODEL, REMOVED, write_params
from tests.helpers.stages import call_stage

Changes = Mapping[str, Any]


def read_changed(folder: Path, changes: Changes) -> Params:
    """Return what is read from the default params with changes."""
    write_params(folder, changes)
    return read_params(folder / "params.yaml")


def read_error(folder: Path, changes: Changes) -> str:
    """Return the one line about the default params with changes, without the file's name."""
    with pytest.raises(InputError) as caught:
        read_changed(folder, changes)
    line = str(caught.value)
    start = f"{folder / 'params.yaml'}: "
    assert line.startswith(start)
    assert "\n" not in line
    return line.removeprefix(start)


def test_read_params_gives_a_valid_dump(tmp_path: Path) -> None:
    params = read_changed(tmp_path, {})
    assert params == Params.model_validate(params.model_dump())


@pytest.mark.parametrize("text", ["1.0e-8", "1e-8", "1E-08", "0.00000001", ".1e-7"])
def test_parse_yaml_takes_small_numbers_as_dvc_does(text: str) -> None:
    assert parse_yaml(text) == 1e-8


@pytest.mark.parametrize("text", ["1e30", "+1e+30", "1.E30"])
def test_parse_yaml_takes_large_numbers_as_dvc_does(text: str) -> None:
    assert parse_yaml(text) == 1e30


def test_read_params_names_values_as_dvc_does(tmp_path: Path) -> None:
    params = read_changed(tmp_path, {"studies.learning_rate.values": [1e-8, 10, 0.1]})
    assert [str(value) for value in params.studies.learning_rate.values] == ["1e-08", "10", "0.1"]


def test_model_has_its_own_keys_and_those_of_train(tmp_path: Path) -> None:
    own_keys = {
        "epochs": 7,
        "shuffle": True,
        "augment": {"shift": 2, "flip": True, "rotation": 5, "brightness": 0.1, "contrast": 0.2},
        "validation": 0.5,
    }
    changes = {f"models.small.{key}": value for key, value in own_keys.items()}
    params = read_changed(tmp_path, changes)
    recipe = params.models["small"].model_dump(include=set(Train.model_fields))
    assert recipe == params.train.model_dump() | own_keys


def test_model_without_keys_of_train_has_those_of_train(tmp_path: Path) -> None:
    params = read_changed(tmp_path, {"models.small.epochs": 7})
    recipe = params.models["conv"].model_dump(include=set(Train.model_fields))
    assert recipe == params.train.model_dump()


def test_group_models_by_lr_hold_models_that_differ_in_nothing_else(tmp_path: Path) -> None:
    params = read_changed(tmp_path, {"models.small.batch_size": 4})  # small has another arch
    assert params.group_models_by_lr(params.models) == [
        {"conv": 0.01, "conv_again": 0.01, "conv_hot": 1e30}
    ]


def test_group_models_by_lr_takes_other_options_as_another_model(tmp_path: Path) -> None:
    params = read_changed(tmp_path, {"models.conv_hot.options": {"width": 8}})
    assert params.group_models_by_lr(params.models) == []


def test_model_without_options_has_none(tmp_path: Path) -> None:
    params = read_changed(tmp_path, {"models.conv.options": {"sides": [1, 2], "deep": True}})
    assert params.models["small"].options == {}
    assert params.models["conv"].options == {"sides": [1, 2], "deep": True}


def test_group_models_by_lr_hold_named_models(tmp_path: Path) -> None:
    write_params(tmp_path)
    params = read_params(tmp_path / "params.yaml")
    groups = params.group_models_by_lr(["conv", "conv_hot"])
    assert groups == [{"conv": 0.01, "conv_hot": 1e30}]
    assert params.group_models_by_lr(["conv_hot"]) == []


def test_group_models_by_lr_of_another_recipe_is_empty(tmp_path: Path) -> None:
    params = read_changed(tmp_path, {"models.conv_hot.epochs": 9})
    assert params.group_models_by_lr(params.models) == []


def test_read_params_of_another_augment_says_own(tmp_path: Path) -> None:
    assert "'own'" in read_error(tmp_path, {"models.small.augment": "flip"})


def test_augment_may_hold_any_of_its_keys(tmp_path: Path) -> None:
    augment = read_changed(tmp_path, {"train.augment": {"rotation": 5}}).train.augment
    assert augment == Augment(shift=0, flip=False, rotation=5, brightness=0, contrast=0)


def test_read_params_of_another_arch_lists_the_architectures(tmp_path: Path) -> None:
    line = read_error(tmp_path, {"models.small.arch": "layers"})
    assert line.startswith("models.small.arch: 'layers'")
    assert "conv_nn2" in line
    assert "simple_nn2" in line


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"models.small.lr": "0.01"}, "models.small.lr is '0.01' (str), expected "),
        ({"models.small.lr": 0}, "models.small.lr is 0 (int), expected "),
        ({"models.small.lr": 1e31}, "models.small.lr is 1e+31 (float), expected "),
        ({"models.small.learning_rate": 1}, "models.small: 'learning_rate' is not a known key"),
        ({"more": 1}, "'more' is not a known key"),
        ({"data.raw": ""}, "data.raw is ''"),
        ({"train.optimizer": "lbfgs"}, "train.optimizer is 'lbfgs' (str), expected 'sgd'"),
        (
            {"models.small.optimizer": "adam", "models.small.momentum": 0.9},
            "models.small: momentum is 0.9, expected 0",
        ),
        ({"train.patience": 3}, "models.small: patience is 3, expected null"),
        ({"train.augment": "flip"}, "train.augment is 'flip' (str), expected a valid"),
        ({"train.augment": {"turn": 3}}, "train.augment: 'turn' is not a known key"),
        ({"train.augment": {"rotation": 181}}, "train.augment.rotation is 181 (int), expected "),
        ({"train.label_smoothing": 1}, "train.label_smoothing is 1 (int), expected "),
        (
            {"models.small.loss": "own", "train.label_smoothing": 0.1},
            "models.small: label_smoothing is 0.1, expected 0",
        ),
        ({"models.small.warmup_epochs": 2}, "models.small: warmup_epochs is 2, expected less than"),
        ({"train.ensemble": 0}, "train.ensemble is 0 (int), expected "),
        (
            {"models.small.ensemble": 2, "train.seed": 2**32 - 1},
            "models.small: seed is 4294967295, expected at most 4294967294, since ensemble is 2",
        ),
        ({"cross_validation.models": {"small": "conv_nn2"}}, "cross_validation.models.small is "),
        ({"cross_validation.models": {"smal": "simple_nn2"}}, "cross_validation.models.smal: "),
        ({"models": {}}, "models is {}"),
        ({"train": None}, "train is None (NoneType), expected "),
        ({"evaluation": [1]}, "evaluation is [1] (list), expected "),
        ({"models": 3}, "models is 3 (int), expected "),
        ({"studies.seed.seeds": []}, "studies.seed.seeds is []"),
        ({"studies.seed.models": ["con"]}, "studies.seed.models: 'con'"),
        ({"export.model": "smal"}, "export.model: 'smal'"),
        ({"export.model": None}, "export.model: "),
        ({"studies.learning_rate.model": "smal"}, "studies.learning_rate.model: 'smal'"),
        ({"studies.batch_size.model": "smal"}, "studies.batch_size.model: 'smal'"),
        ({"studies.leakage.model": "smal"}, "studies.leakage.model: 'smal'"),
        ({"studies.learning_rate.values": [1, 1.0]}, "studies.learning_rate.values: 1 occurs"),
        ({"studies.learning_rate.values": [0]}, "studies.learning_rate.values.0 is 0 (int)"),
        ({"studies.batch_size.values": [4, "every"]}, "studies.batch_size.values.1 is 'every'"),
    ],
)
def test_read_params_of_a_wrong_value_names_its_key(
    tmp_path: Path, changes: Changes, start: str
) -> None:
    assert read_error(tmp_path, changes).startswith(start)


def list_outs() -> list[str]:
    """Return a place for each out of dvc.yaml, except the sample."""
    outs = []
    for stage in read_all_definitions().values():
        for kind in ("outs", "metrics", "plots"):
            for entry in stage.get(kind, []):
                path = entry if isinstance(entry, str) else next(iter(entry))
                outs.append(re.sub(r"\$\{.*?\}", "m", path))
    outs.remove("data/sample")
    return outs


@pytest.mark.parametrize("raw", list_outs())
def test_read_params_of_an_out_as_raw_folder_names_the_key(tmp_path: Path, raw: str) -> None:
    assert read_error(tmp_path, {"data.raw": raw}).startswith(f"data.raw: '{raw}' ")


@pytest.mark.parametrize("raw", [".", "..", "/", "data", "./data/flat/", "data/flat/x", "models"])
def test_read_params_of_a_raw_folder_around_or_in_an_out(tmp_path: Path, raw: str) -> None:
    for spelling in (raw, str(Path.cwd() / raw)):
        assert read_error(tmp_path, {"data.raw": spelling}).startswith("data.raw: ")


@pytest.mark.parametrize("raw", ["data/sample", "data/raw", "data/flat_2", "../data", "tensors"])
def test_read_params_of_a_raw_folder_apart_from_outs(tmp_path: Path, raw: str) -> None:
    for spelling in (raw, str(Path.cwd() / raw)):
        assert read_changed(tmp_path, {"data.raw": spelling}).data.raw == spelling


@pytest.mark.parametrize("name", ["a", "A-b_1", "a" * 100])
def test_read_params_of_a_name_that_is_a_file_name(tmp_path: Path, name: str) -> None:
    model = {"arch": "simple_nn2", "lr": 0.01, "batch_size": 5}
    assert name in read_changed(tmp_path, {f"models.{name}": model}).models


@pytest.mark.parametrize("name", ["2024", "a/b", "é", "1a", "a" * 101])
def test_read_params_of_a_name_that_is_no_file_name(tmp_path: Path, name: str) -> None:
    model = {"arch": "simple_nn2", "lr": 0.01, "batch_size": 5}
    params = {"models": {**ONE_MODEL["models"], name: model}, "studies.seed.models": ["small"]}
    assert read_error(tmp_path, params).startswith(f"models.{name}.")


@pytest.mark.parametrize(
    "name",
    [
        *("majority", "nearest_neighbour", "brightness", "linear", "kernel", "covariates"),
        *("average", "chosen"),
    ],
)
def test_read_params_of_a_reserved_name(tmp_path: Path, name: str) -> None:
    model = {"arch": "simple_nn2", "lr": 0.01, "batch_size": 5}
    line = read_error(tmp_path, {f"models.{name}": model})
    assert line.startswith(f"models.{name} has a reserved name")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no groups of keys"),
        ("a: [", "not readable as YAML"),
        ("[a, b]: 1", "not readable as YAML: line 1: "),
        ("\udcff", "not readable as YAML"),
        ("epochs: 2\nepochs: 3", "not readable as YAML: the key 'epochs' occurs twice"),
        ("seed: !!python/object/apply:os.system [x]", "not readable as YAML"),
        ("1: 2", "1 is not a known key"),
    ],
)
def test_read_params_of_another_text(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError) as caught:
        read_params(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_read_params_of_no_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"params\.yaml: no such file"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"models.small.lr": REMOVED}, "models.small.lr is missing, expected a value; see docs/"),
        ({"train.patience": REMOVED}, "train.patience is missing, expected a value; 'mri-stages "),
        ({"train": REMOVED}, "train is missing"),
        (
            {"data.title": REMOVED, "train.epochs": REMOVED, "export": REMOVED},
            "data.title, train.epochs, export are missing",
        ),
    ],
)
def test_read_params_lists_all_missing_keys(tmp_path: Path, changes: Changes, start: str) -> None:
    assert read_error(tmp_path, changes).startswith(start)


def test_read_params_of_version_0_2_lists_all_old_keys(tmp_path: Path) -> None:
    changes = {
        "train.augment": "none",
        "train.class_weights": "none",
        "models.conv.augment": "none",
    }
    line = read_error(tmp_path, changes)
    assert line.startswith("train.class_weights, train.augment, models.conv.augment are 'none'")
    assert "mri-stages models upgrade-params" in line


@pytest.mark.parametrize(
    ("key", "lowest", "highest"),
    [
        ("train.seed", 0, 2**32 - 1),
        ("train.threads", 1, 1024),
        ("cross_validation.folds", 2, 100),
        ("cross_validation.repeats", 1, 100),
        ("sample.subjects", 8, 10_000),
        ("sample.slices", 5, 1000),
        ("sample.height", 8, 4096),
        ("sample.width", 8, 4096),
    ],
)
def test_read_params_at_the_ends_of_a_range(
    tmp_path: Path, key: str, lowest: int, highest: int
) -> None:
    read_changed(tmp_path, {key: lowest})
    read_changed(tmp_path, {key: highest})
    assert read_error(tmp_path, {key: lowest - 1}).startswith(f"{key} is {lowest - 1} ")
    assert read_error(tmp_path, {key: highest + 1}).startswith(f"{key} is {highest + 1} ")


@pytest.mark.parametrize("key", ["train.epochs", "models.small.batch_size"])
def test_read_params_at_the_lower_end(tmp_path: Path, key: str) -> None:
    read_changed(tmp_path, {key: 1})
    assert read_error(tmp_path, {key: 0}).startswith(f"{key} is 0 ")


@pytest.mark.parametrize(
    ("key", "taken", "refused"),
    [
        ("models.small.lr", [1e-30, 1e30], [0, 1.1e30]),
        ("models.small.freeze", [[], ["a"]], [[""]]),
        ("train.momentum", [0, 0.999], [-0.001, 1]),
        ("train.weight_decay", [0, 1e30], [-1e-9, 1.1e30]),
        ("train.label_smoothing", [0, 0.999], [-0.001, 1]),
        ("train.validation", [0, 0.9], [-0.001, 0.901]),
        ("train.augment", [{"shift": 0}, {"shift": 1024}], [{"shift": -1}, {"shift": 1025}]),
        ("train.augment", [{"rotation": 180}], [{"rotation": -1}, {"rotation": 181}]),
        ("train.augment", [{"brightness": 1}], [{"brightness": -0.1}, {"brightness": 1.1}]),
        ("train.augment", [{"contrast": 1}], [{"contrast": -0.1}, {"contrast": 1.1}]),
        ("train.ensemble", [1, 100], [0, 101]),
        ("data.title", ["a", "a" * 80], ["", "a" * 81]),
        ("evaluation.threshold", [0.001, 0.999], [0, 1]),
        ("evaluation.groups", [None, [], ["a"], ["a", "b"]], [[""], ["a", "a"]]),
        ("cross_validation.inner_folds", [0, 2, 100], [-1, 1, 101]),
        ("studies.leakage.shares", [[0, 100]], [[], [-1], [101]]),
        ("studies.batch_size.values", [[1, "all"]], [[], [0]]),
    ],
)
def test_read_params_takes_what_is_within_limits(
    tmp_path: Path, key: str, taken: list[Any], refused: list[Any]
) -> None:
    for value in taken:
        read_changed(tmp_path, {key: value})
    for value in refused:
        assert read_error(tmp_path, {key: value}).startswith(key)


def list_groups(group: type[Group] = Group) -> list[type[Group]]:
    """Return all groups of the schema."""
    groups = []
    for child in group.__subclasses__():
        groups += [child, *list_groups(child)]
    return groups


def list_groups_without_defaults() -> list[type[Group]]:
    """Return all groups but `augment`, whose keys may be left out."""
    return [group for group in list_groups() if group is not Augment]


@pytest.mark.parametrize("group", list_groups_without_defaults(), ids=lambda group: group.__name__)
def test_no_key_of_a_group_has_a_default(group: type[Group]) -> None:
    """A value that code supplies would be a param that DVC does not see.

    DVC tracks each model as a whole, so there a key that is left out is a value too. Without
    `export.model` there is no stage that would read it.
    """
    optional_keys = {key for key, field in group.model_fields.items() if not field.is_required()}
    if group is Model:
        optional_keys -= Model.model_fields.keys() - Recipe.model_fields.keys()
    assert optional_keys == ({"model"} if group is Export else set())


@pytest.mark.parametrize(
    "stage",
    [
        "sample", "load", "plot_sample", "assign_folds", "scale", "baselines", "train", "evaluate",
        "combine", "groups", "failures", "compare", "sheet", "report", "cross_validate",
        "summarise", "export",
    ],
)  # fmt: skip
def test_every_stage_checks_the_whole_params_file(workspace: Path, stage: str) -> None:
    write_params(workspace, {"models.conv_hot.lr": "hot"})
    with pytest.raises(InputError, match=r"models\.conv_hot\.lr"):
        call_stage(workspace, stage, "small")


def test_params_may_export_no_model(tmp_path: Path) -> None:
    write_params(tmp_path, {"export": {}})
    assert read_params(tmp_path / "params.yaml").export.model == ""


@pytest.mark.parametrize("n_folds", [1, -1, 101])
def test_inner_folds_are_none_or_several(workspace: Path, n_folds: int) -> None:
    write_params(workspace, {"cross_validation.inner_folds": n_folds})
    with pytest.raises(InputError, match="inner_folds"):
        read_params()
