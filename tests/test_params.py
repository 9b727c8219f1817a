"""params.yaml is read as it is written, or refused with one line that names the key."""

import copy
import json
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from src.cli import InputError
from src.params import Params, read_params
from tests.conftest import PARAMS, call_stage

VALUES = yaml.safe_load(PARAMS.replace("1e30", "1.0e+30"))
MODELS, STUDIES = PARAMS[PARAMS.index("models:") :].split("studies:")
STUDIES = f"studies:{STUDIES}"


def read(folder: Path, text: str) -> Params | str:
    """Return what is read from the text: params, or the error without the file's name."""
    path = folder / "params.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    try:
        params = read_params(path)
    except InputError as error:
        line = str(error)
        assert line.startswith(f"{path}: ")
        assert "\n" not in line
        assert len(line) < 600
        return line.removeprefix(f"{path}: ")
    assert params == Params.model_validate(params.model_dump())
    return params


def test_read_params_of_the_project_gives_the_notebooks_models(repo: Path) -> None:
    models = read_params(repo / "params.yaml").models
    assert {name: (m.arch, m.lr, m.batch_size) for name, m in models.items()} == {
        "simple_nn1": ("simple_nn1", 0.01, 100),
        "simple_nn2": ("simple_nn2", 0.01, 15),
        "conv_nn1": ("conv_nn1", 0.01, 100),
        "conv_nn2": ("conv_nn2", 0.01, 5),
        "conv_nn3": ("conv_nn2", 1e-8, 5),
        "conv_nn4": ("conv_nn2", 10.0, 5),
    }


def test_read_params_takes_numbers_as_dvc_does_and_training_the_overrides(tmp_path: Path) -> None:
    for spelling in ("1.0e-8", "1e-8", "1E-08", "0.00000001", ".1e-7"):
        params = read(tmp_path, PARAMS.replace("lr: 0.01", f"lr: {spelling}", 1))
        assert isinstance(params, Params)
        assert params.models["small"].lr == 1e-8
    text = PARAMS.replace("batch_size: 5", "batch_size: 5\n    epochs: 7\n    shuffle: true", 1)
    params = read(tmp_path, text.replace("[0.01, 1e30]", "[1e-8, 10, 0.1]"))
    assert isinstance(params, Params)
    own = {"epochs": 7, "seed": 3, "shuffle": True, "threads": 1, "precision": "float32"}
    assert params.training("small").model_dump() == own
    assert params.training("conv") == params.train
    # As DVC writes them into names of stages and files.
    assert [str(v) for v in params.studies.learning_rate.values] == ["1e-08", "10", "0.1"]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("lr: 0.01", "lr: '0.01'", "models.small.lr"),
        ("lr: 0.01", "lr: 0", "models.small.lr"),
        ("lr: 0.01", "lr: .nan", "models.small.lr"),
        ("lr: 0.01", "lr: 1e31", "models.small.lr"),
        ("    lr: 0.01\n", "", "models.small.lr"),
        ("lr: 0.01", "learning_rate: 0.01", "models.small.learning_rate"),
        ("lr: 0.01", "lr: 0.01\n    momentum: 1", "models.small.momentum"),
        ("batch_size: 5", "batch_size: 2.5", "models.small.batch_size"),
        ("arch: simple_nn2", "arch: layers", "models.small.arch"),
        ("shuffle: false", "shuffle: 0", "train.shuffle"),
        ("float32", "float16", "train.precision"),
        ("split: given", "split: patient", "data.split"),
        ("fold: 0", "fold: 2", "data: fold"),
        ("data:\n", "datas:\n", "datas"),
        ("  small:", "  2024:", "models.2024"),
        ("  small:", "  CONV:", "models: CONV and conv"),
        (MODELS, "models: {}\n", "models"),
        ("seeds: [0, 1]", "seeds: []", "studies.seed.seeds"),
        ("seeds: [0, 1]", "seeds: [1, 1]", "studies.seed.seeds"),
        ("models: [conv]", "models: [con]", "studies: seed.models: 'con'"),
        ("model: small", "model: smal", "studies: learning_rate.model: 'smal'"),
        ("[0.01, 1e30]", "[]", "studies.learning_rate.values"),
        ("[0.01, 1e30]", "[1, 1.0]", "studies.learning_rate.values"),
        ("[0.01, 1e30]", "[0]", "studies.learning_rate.values.0"),
        ("[4, all]", "[4, every]", "studies.batch_size.values.1"),
        (STUDIES, "", "studies"),
        ("data:", '"\\e[2J": 1\ndata:', "\\x1b[2J"),
    ],
)
def test_read_params_names_the_key_of_a_wrong_value(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    assert old in PARAMS
    line = read(tmp_path, PARAMS.replace(old, new, 1))
    assert isinstance(line, str)
    assert line.encode("unicode_escape").decode().startswith(key) or line.startswith(key)


@pytest.mark.parametrize(
    ("key", "taken", "refused"),
    [
        ("epochs: 2", [1], [0]),
        ("seed: 3", [0, 2**32 - 1], [-1, 2**32]),
        ("subjects: 8", [8, 10_000], [7, 10_001]),
        ("slices: 5", [5, 1000], [4, 1001]),
        ("height: 36", [8, 4096], [7, 4097]),
        ("width: 40", [8, 4096], [7, 4097]),
        ("batch_size: 5", [1], [0]),
        ("threads: 1", [1, 1024], [0, 1025]),
        ("folds: 2", [2, 1000], [1, 1001]),
    ],
)
def test_read_params_takes_the_ends_of_a_range_and_nothing_outside(
    tmp_path: Path, key: str, taken: list[int], refused: list[int]
) -> None:
    name = key.split(":")[0]
    for value in taken + refused:
        found = read(tmp_path, PARAMS.replace(key, f"{name}: {value}", 1))
        assert f".{name} is {value} " in found if isinstance(found, str) else value in taken
        assert isinstance(found, str) == (value in refused)


# Ten to the power of thirty values, written with aliases and with merge keys.
ALIASES = "data:\n  raw: &x0 [a]\n" + "".join(
    f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]\n" for i in range(1, 30)
)
MERGES = "x0: &x0 {a: 1}\n" + "".join(
    f"x{i}: &x{i} {{<<: [{', '.join([f'*x{i - 1}'] * 10)}]}}\n" for i in range(1, 30)
)


@pytest.mark.parametrize(
    "text",
    [
        *("", "just text", "- 1\n- 2\n", "a: [1", "&a [*a]", "[" * 5000),
        "%YAML 1.1\n---\na: !!bool x",
        ALIASES,
        MERGES + PARAMS,
        PARAMS.replace("epochs: 2", "epochs: 2\n  epochs: 3"),
        PARAMS.replace("lr: 0.01", "lr: &a 0.01\n    seed: *b", 1),
        PARAMS.replace("lr: 0.01", "lr: !!python/object/apply:os.system [x]"),
        PARAMS.replace("models:", "models: !!timestamp"),
        PARAMS.replace("seed: 3", "seed: !!int ''"),
        PARAMS.replace("seed: 3", "seed: 3\n  1: 2"),
        PARAMS + 900 * "a" + ": 1\n",
    ],
)
def test_read_params_of_a_file_that_is_hostile_or_not_params_is_one_line(
    tmp_path: Path, text: str
) -> None:
    assert isinstance(read(tmp_path, text), str)


def test_read_params_of_a_missing_file_or_bytes_that_are_not_text_is_one_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(InputError, match=str(path)):
        read_params(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=str(path)):
        read_params(path)


REFUSED = ["../x", "a/b", "a\\b", "", "a b", "a.b", "-a", "_a", "1a", "a" * 65, "${x}", "a:b", "é",
           "a\nb", "$(touch canary)", "con", "NUL", "com1", "Majority", "nearest_neighbour",
           "nearest_neighbour_random"]  # fmt: skip


@pytest.mark.parametrize("name", [*REFUSED, "a" * 64, "majority2", "console", "com", "a-b_C9"])
def test_read_params_refuses_a_model_name_that_cannot_name_files_and_stages(
    tmp_path: Path, name: str
) -> None:
    models = VALUES["models"] | {name: VALUES["models"]["small"]}
    found = read(tmp_path, json.dumps(VALUES | {"models": models}))
    assert isinstance(found, str) == (name in REFUSED)
    assert not isinstance(found, str) or found.startswith("models: ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("params")


WORDS = "null true &a *a <<: --- ... !!int !!set !!omap !!binary !!timestamp .nan 0x1F 2024-01-01"
PIECES = [*"{}[]:-?|>#'\"~@`=!\t\r\0\x85\u2028\ufeff", *WORDS.split(), "\n  ", "%YAML 1.1\n---\n"]
EDITS = st.tuples(
    st.integers(0, len(PARAMS)), st.integers(0, 9), st.sampled_from(PIECES) | st.text(max_size=3)
)


@settings(max_examples=200, deadline=None)
@given(st.lists(EDITS, min_size=1, max_size=4))
def test_read_params_with_pieces_of_yaml_put_in_is_params_or_one_line(
    folder: Path, edits: list[tuple[int, int, str]]
) -> None:
    text = PARAMS
    for place, cut, piece in edits:
        text = text[:place] + piece + text[place + cut :]
    read(folder, text)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
KEYS = ["data", "data.raw", "train.epochs", "train.shuffle", "train.precision", "sample.subjects",
        "models", "models.small", "models.small.lr", "models.small.arch", "models.new",
        "new"]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KEYS), ANY)
def test_read_params_keeps_a_value_as_it_is_or_names_its_key(
    folder: Path, place: str, value: Any
) -> None:
    *groups, key = place.split(".")
    values = copy.deepcopy(VALUES)
    reduce(getitem, groups, values)[key] = value
    result = read(folder, json.dumps(values, ensure_ascii=False))
    if isinstance(result, str):
        assert key in result or "YAML" in result
    else:
        found = reduce(getitem, groups, result.model_dump())[key]
        assert type(found) is type(value) or key == "lr"
        assert found == value


@pytest.mark.parametrize(
    "stage", ["sample", "load", "scale", "baselines", "train", "evaluate", "compare", "report"]
)
def test_every_stage_checks_the_whole_params_file(workspace: Path, stage: str) -> None:
    (workspace / "params.yaml").write_text(PARAMS.replace("lr: 1e30", "lr: hot"))
    with pytest.raises(InputError, match=r"models\.conv_hot\.lr"):
        call_stage(workspace, stage, "small")
