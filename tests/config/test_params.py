"""params.yaml is read as it is written, or refused with one line that names the key."""

import re
from pathlib import Path

import pytest
from tests.conftest import PARAMS, call_stage

from mri_stages.commands.parameters import replace_table
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.errors import InputError
from mri_stages.training.optimization import is_plain_sgd

MODELS = PARAMS[PARAMS.index("models:") : PARAMS.index("evaluation:")]


def read(folder: Path, old: str, new: str) -> Params | str:
    """Return what is read from PARAMS with `new` for `old`, or the error without the file."""
    path = folder / "params.yaml"
    assert old in PARAMS
    path.write_bytes(PARAMS.replace(old, new, 1).encode(errors="surrogateescape"))
    try:
        params = read_params(path)
    except InputError as error:
        line = str(error)
        assert line.startswith(f"{path}: ")
        return line.removeprefix(f"{path}: ")
    assert params == Params.model_validate(params.model_dump())
    return params


def test_read_params_of_the_project_gives_the_notebooks_models(repo: Path) -> None:
    params = read_params(repo / "params.yaml")
    recipes = {name: params.models[name] for name in params.models if name != "resnet"}
    archs = {name: model.arch for name, model in params.models.items()}
    assert {name: (archs[name], r.lr, r.batch_size) for name, r in recipes.items()} == {
        "simple_nn1": ("simple_nn1", 0.01, 100),
        "simple_nn2": ("simple_nn2", 0.01, 15),
        "conv_nn1": ("conv_nn1", 0.01, 100),
        "conv_nn2": ("conv_nn2", 0.01, 5),
        "conv_nn3": ("conv_nn2", 1e-8, 5),
        "conv_nn4": ("conv_nn2", 10.0, 5),
    }
    for recipe in recipes.values():
        assert is_plain_sgd(recipe)
        assert (recipe.shuffle, recipe.class_weights, recipe.validation) == (False, None, 0)


def test_read_params_takes_numbers_as_dvc_does(tmp_path: Path) -> None:
    for spelling in ("1.0e-8", "1e-8", "1E-08", "0.00000001", ".1e-7"):
        params = read(tmp_path, "[0.01, 1e30]", f"[{spelling}, 10, 0.1]")
        assert isinstance(params, Params)
        # As DVC writes them into names of stages and files.
        assert [*map(str, params.studies.learning_rate.values)] == ["1e-08", "10", "0.1"]


def test_recipe_applies_the_overrides_of_the_model(tmp_path: Path) -> None:
    own = "epochs: 7\n    shuffle: true\n    augment: {shift: 2, flip: true}\n    validation: 0.5"
    params = read(tmp_path, "lr: 0.01", f"lr: 0.01\n    {own}")
    assert isinstance(params, Params)
    recipe, others = params.models["small"], params.train.model_dump()
    changed = {k: v for k, v in recipe.model_dump(exclude={"arch"}).items() if others.get(k) != v}
    assert changed == {
        "lr": 0.01, "batch_size": 5, "epochs": 7, "shuffle": True, "validation": 0.5,
        "augment": {"shift": 2, "flip": True},
    }  # fmt: skip
    assert params.models["conv"].model_dump(exclude={"arch"}) == others | {
        "lr": 0.01,
        "batch_size": 4,
    }


def test_groups_by_lr_holds_models_that_differ_in_nothing_else(tmp_path: Path) -> None:
    params = read(tmp_path, "batch_size: 5", "batch_size: 4")  # `small` differs in its arch
    assert isinstance(params, Params)
    assert params.groups_by_lr() == [{"conv": 0.01, "conv_again": 0.01, "conv_hot": 1e30}]
    params = read(tmp_path, "lr: 1e30\n", "lr: 1e30\n    epochs: 9\n")
    assert isinstance(params, Params)
    assert params.groups_by_lr() == []


@pytest.mark.parametrize(
    ("old", "new", "start"),
    [
        *(("lr: 0.01", f"lr: {value}", "models.small.lr is ") for value in ("'0.01'", 0, 1e31)),
        ("    lr: 0.01\n", "", "models.small.lr is missing"),
        ("lr: 0.01", "learning_rate: 0.01", "models.small: 'learning_rate' is not a known key"),
        ("data:", "more: 1\ndata:", "'more' is not a known key"),
        ("seed: 3", "seed: 3\n  1: 2", "train: 1 is not a known key"),
        ("arch: simple_nn2", "arch: layers", "models.small.arch: 'layers'"),
        ("raw: data/raw", "raw: ''", "data.raw is ''"),
        ("optimizer: sgd", "optimizer: lbfgs", "train.optimizer is 'lbfgs' (str), expected 'sgd'"),
        ("lr: 0.01", "lr: 0.01\n    optimizer: adam\n    momentum: 0.9", "models.small: momentum"),
        ("patience: null", "patience: 3", "models.small: patience"),
        ("augment: null", "augment: {shift: 2}", "train.augment.flip is missing"),
        ("augment: null", "augment: flip", "train.augment is 'flip' (str), expected "),
        ("small: simple_nn2", "small: conv_nn2", "cross_validation.models.small is 'conv_nn2'"),
        ("small: simple_nn2", "smal: simple_nn2", "cross_validation.models.smal: "),
        *(("  small:", f"  {name}:", f"models.{name}.") for name in ("2024", "a/b", "é", "1a")),
        ("  conv_hot:", "  linear:", "models.linear has the name of a baseline"),
        (MODELS, "models: {}\n", "models is {}"),
        ("seeds: [0, 1]", "seeds: []", "studies.seed.seeds is []"),
        ("models: [conv]", "models: [con]", "studies.seed.models: 'con'"),
        ("model: small", "model: smal", "export.model: 'smal'"),
        ("small\n    values: [0", "smal\n    values: [0", "studies.learning_rate.model: 'smal'"),
        ("small\n    values: [4", "smal\n    values: [4", "studies.batch_size.model: 'smal'"),
        ("small\n    shares", "smal\n    shares", "studies.leakage.model: 'smal'"),
        ("[0.01, 1e30]", "[1, 1.0]", "studies.learning_rate.values: 1 occurs"),
        ("[0.01, 1e30]", "[0]", "studies.learning_rate.values.0 is 0 (int)"),
        ("[4, all]", "[4, every]", "studies.batch_size.values.1 is 'every' (str)"),
        (PARAMS, "", "the file is "),
        *((PARAMS, text, "not readable as YAML") for text in ("\udcff", "a: [")),
        ("epochs: 2", "epochs: 2\n  epochs: 3", "not readable as YAML: the key 'epochs' occurs"),
        ("seed: 3", "seed: !!python/object/apply:os.system [x]", "not readable as YAML"),
    ],
)
def test_read_params_of_a_wrong_value_fails(tmp_path: Path, old: str, new: str, start: str) -> None:
    assert str(read(tmp_path, old, new)).startswith(start)


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        *(("epochs: 2", 1, 0), ("batch_size: 5", 1, 0)),  # without an upper end
        *(("seed: 3", 0, 2**32 - 1), ("threads: 1", 1, 1024), ("folds: 2", 2, 100)),
        *(("subjects: 8", 8, 10_000), ("slices: 5", 5, 1000)),
        *(("height: 36", 8, 4096), ("width: 40", 8, 4096)),
    ],
)
def test_read_params_at_the_ends_of_a_range(tmp_path: Path, key: str, low: int, high: int) -> None:
    name = key.split(":")[0]
    for taken, refused in ((low, low - 1), (high, high + 1))[: 2 if high else 1]:
        assert isinstance(read(tmp_path, key, f"{name}: {taken}"), Params)
        assert f".{name} is {refused} " in str(read(tmp_path, key, f"{name}: {refused}"))


def test_docs_parameters_has_the_table_of_the_schema(repo: Path) -> None:
    page = (repo / "docs/parameters.md").read_text(encoding="utf-8")
    without_defaults = r"^(\| `[^|]*\|)[^|]*\|"  # your own params may differ
    expected, found = (
        re.sub(without_defaults, r"\1", text, flags=re.MULTILINE)
        for text in (replace_table(page, {}), page)
    )
    assert found == expected, "make it anew: mri-stages parameters"


@pytest.mark.parametrize(
    "stage",
    ["sample", "load", "scale", "baselines", "train", "evaluate", "compare", "report",
     "cross_validate", "summarise"],
)  # fmt: skip
def test_every_stage_checks_the_whole_params_file(workspace: Path, stage: str) -> None:
    (workspace / "params.yaml").write_text(PARAMS.replace("lr: 1e30", "lr: hot"))
    with pytest.raises(InputError, match=r"models\.conv_hot\.lr"):
        call_stage(workspace, stage, "small")
    (workspace / "params.yaml").unlink()
    with pytest.raises(InputError, match=r"params\.yaml: no such file"):
        call_stage(workspace, stage, "small")
