from pathlib import Path
from typing import get_args

import pytest

from src.cli import InputError
from src.networks import NETWORKS
from src.params import Arch, read_params
from tests.conftest import PARAMS

MODELS, STUDIES = PARAMS[PARAMS.index("models:") :].split("studies:")
STUDIES = f"studies:{STUDIES}"


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text)
    return path


def test_shipped_params_are_the_notebooks_six_models(repo: Path) -> None:
    models = read_params(repo / "params.yaml").models
    assert {name: (m.arch, m.lr, m.batch_size) for name, m in models.items()} == {
        "simple_nn1": ("SimpleNN1", 0.01, 100),
        "simple_nn2": ("SimpleNN2", 0.01, 15),
        "conv_nn1": ("ConvNN1", 0.01, 100),
        "conv_nn2": ("ConvNN2", 0.01, 5),
        "conv_nn3": ("ConvNN2", 1e-8, 5),
        "conv_nn4": ("ConvNN2", 10.0, 5),
    }


def test_every_arch_of_the_schema_is_a_network() -> None:
    assert set(get_args(Arch)) == set(NETWORKS)


@pytest.mark.parametrize("spelling", ["1.0e-8", "1e-8", "1e-08", "1E-8", "0.00000001"])
def test_every_spelling_of_a_learning_rate_is_that_number(tmp_path: Path, spelling: str) -> None:
    text = PARAMS.replace("lr: 0.01", f"lr: {spelling}", 1)
    assert read_params(written(tmp_path, text)).models["small"].lr == 1e-8


def test_a_model_overrides_keys_of_train(tmp_path: Path) -> None:
    text = PARAMS.replace("batch_size: 5", "batch_size: 5\n    epochs: 7\n    shuffle: true", 1)
    params = read_params(written(tmp_path, text))
    assert params.training("small").model_dump() == {
        "epochs": 7,
        "seed": 3,
        "shuffle": True,
        "threads": 1,
        "precision": "float32",
    }
    assert params.training("conv") == params.train


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("lr: 0.01", "lr: fast", ["models.small.lr", "'fast'", "a number above 0"]),
        ("lr: 0.01", "lr: '0.01'", ["models.small.lr", "'0.01' (str)", "a number above 0"]),
        ("lr: 0.01", "lr: -1", ["models.small.lr is -1", "a number above 0"]),
        ("lr: 0.01", "lr: 0", ["models.small.lr is 0", "a number above 0"]),
        ("lr: 0.01", "lr: .nan", ["models.small.lr is nan", "a number above 0"]),
        ("lr: 0.01", "lr: .inf", ["models.small.lr is inf", "a number above 0"]),
        ("lr: 0.01", "lr: true", ["models.small.lr is True", "a number above 0"]),
        ("lr: 0.01", "lr: 0.01\n    lr: 0.1", ["duplicate key", "lr"]),
        ("    lr: 0.01\n", "", ["models.small.lr is missing", "a number above 0"]),
        (
            "lr: 0.01",
            "learning_rate: 0.01",
            ["models.small.learning_rate is no known key", "(and 1 more)"],
        ),
        ("lr: 0.01", "lr: 0.01\n    momentum: 1", ["models.small.momentum", "known here: arch"]),
        ("batch_size: 5", "batch_size: 0", ["models.small.batch_size is 0", "whole number"]),
        ("batch_size: 5", "batch_size: 2.5", ["models.small.batch_size is 2.5", "whole number"]),
        ("SimpleNN2", "SimpleNN3", ["models.small.arch is 'SimpleNN3'", "ConvNN2"]),
        ("epochs: 2", "epochs: 0", ["train.epochs is 0", "whole number from 1"]),
        ("shuffle: false", "shuffle: no", ["train.shuffle is 'no'", "true or false"]),
        ("float32", "float16", ["train.precision is 'float16'", "float32, tf32, bf16"]),
        ("seed: 3", "seed: 4294967296", ["train.seed is 4294967296", "4294967295"]),
        ("subjects: 8", "subjects: 7", ["sample.subjects is 7", "from 8"]),
        ("raw: data/raw", "raw: ''", ["data.raw is ''", "folder"]),
        ("data:\n", "datas:\n", ["datas is no known key; known here: data", "(and 1 more)"]),
        ("lr: 0.01", "lr: 1e31", ["models.small.lr is 1e+31", "up to 1e30"]),
        ("  small:", "  2024:", ["models.2024 is a key that is no text"]),
        ("seed: 3", "seed: 3\n  1: 2", ["train.1 is a key that is no text"]),
        ("seed: 3", "seed: !!int ''", ["no readable YAML"]),
        ("  small:", "  ../small:", ["models", "'../small'", "a letter, then"]),
        ("  small:", "  CONV:", ["CONV and conv", "rename one"]),
        ("data:\n  raw: data/raw\n", "- a list\n", ["no readable YAML"]),
        (MODELS, "models: {}\n", ["models is {}", "at least one model"]),
        ("seeds: [0, 1]", "seeds: []", ["studies.seed.seeds is []", "such as [0, 1, 2]"]),
        ("seeds: [0, 1]", "seeds: [1, 1]", ["studies.seed.seeds: 1 stands 2 times", "each once"]),
        ("seeds: [0, 1]", "seeds: [-1]", ["studies.seed.seeds.0 is -1", "whole numbers from 0"]),
        ("models: [conv]", "models: [con]", ["seed.models: 'con'", "small, conv, conv_again"]),
        ("model: small", "model: smal", ["learning_rate.model: 'smal' is no model"]),
        ("[0.01, 1e30]", "[]", ["studies.learning_rate.values is []", "numbers above 0"]),
        ("[0.01, 1e30]", "[1, 1.0]", ["studies.learning_rate.values: 1 stands 2 times"]),
        ("[0.01, 1e30]", "[0]", ["studies.learning_rate.values.0 is 0", "numbers above 0"]),
        ("[4, all]", "[]", ["studies.batch_size.values is []", "or all"]),
        ("[4, all]", "[4, every]", ["studies.batch_size.values.1 is 'every'", "or all"]),
        ("[4, all]", "[0]", ["studies.batch_size.values.0 is 0", "from 1"]),
        ("studies:", "study:", ["study is no known key", "studies"]),
        (STUDIES, "", ["studies is missing", "seed, learning_rate, batch_size"]),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_key(
    tmp_path: Path, old: str, new: str, fragments: list[str]
) -> None:
    assert old in PARAMS
    path = written(tmp_path, PARAMS.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        read_params(path)
    for fragment in [str(path), *fragments]:
        assert fragment in str(error.value)


def test_a_value_of_a_study_stays_as_it_is_written(tmp_path: Path) -> None:
    values = read_params(written(tmp_path, PARAMS.replace("[0.01, 1e30]", "[1e-8, 10, 0.1]")))
    # As DVC writes them into names of stages and files.
    assert [str(v) for v in values.studies.learning_rate.values] == ["1e-08", "10", "0.1"]


@pytest.mark.parametrize("text", ["", "just text", "- 1\n- 2\n", "a: [1", "a: \t- b\n\tc"])
def test_a_file_that_is_no_mapping_is_one_line(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=str(path)):
        read_params(path)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"params.yaml: no such file"):
        read_params(tmp_path / "params.yaml")
