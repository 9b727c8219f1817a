"""params.yaml is read as it is written, or refused with one line that names the key."""

import copy
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from src.cli import InputError
from src.params import Params, read_params
from tests.conftest import PARAMS, REPO, call_stage

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


@pytest.mark.parametrize("spelling", ["1.0e-8", "1e-8", "1e-08", "1E-8", "0.00000001", ".1e-7"])
def test_read_params_takes_every_spelling_of_a_number(tmp_path: Path, spelling: str) -> None:
    params = read(tmp_path, PARAMS.replace("lr: 0.01", f"lr: {spelling}", 1))
    assert isinstance(params, Params)
    assert params.models["small"].lr == 1e-8


def test_training_applies_the_overrides_of_a_model(tmp_path: Path) -> None:
    text = PARAMS.replace("batch_size: 5", "batch_size: 5\n    epochs: 7\n    shuffle: true", 1)
    params = read(tmp_path, text)
    assert isinstance(params, Params)
    own = {"epochs": 7, "seed": 3, "shuffle": True, "threads": 1, "precision": "float32"}
    assert params.training("small").model_dump() == own
    assert params.training("conv") == params.train


def test_a_value_of_a_study_stays_as_it_is_written(tmp_path: Path) -> None:
    params = read(tmp_path, PARAMS.replace("[0.01, 1e30]", "[1e-8, 10, 0.1]"))
    assert isinstance(params, Params)
    # As DVC writes them into names of stages and files.
    assert [str(v) for v in params.studies.learning_rate.values] == ["1e-08", "10", "0.1"]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("lr: 0.01", "lr: fast", "models.small.lr"),
        ("lr: 0.01", "lr: '0.01'", "models.small.lr"),
        ("lr: 0.01", "lr: 0", "models.small.lr"),
        ("lr: 0.01", "lr: .nan", "models.small.lr"),
        ("lr: 0.01", "lr: 1e400", "models.small.lr"),
        ("lr: 0.01", "lr: 1e31", "models.small.lr"),
        ("lr: 0.01", "lr: true", "models.small.lr"),
        ("    lr: 0.01\n", "", "models.small.lr"),
        ("lr: 0.01", "learning_rate: 0.01", "models.small.learning_rate"),
        ("lr: 0.01", "lr: 0.01\n    momentum: 1", "models.small.momentum"),
        ("batch_size: 5", "batch_size: 0", "models.small.batch_size"),
        ("batch_size: 5", "batch_size: 2.5", "models.small.batch_size"),
        ("arch: simple_nn2", "arch: layers", "models.small.arch"),
        ("arch: simple_nn2", "arch: ../cli", "models.small.arch"),
        ("epochs: 2", "epochs: 0", "train.epochs"),
        ("shuffle: false", "shuffle: 0", "train.shuffle"),
        ("float32", "float16", "train.precision"),
        ("seed: 3", "seed: 4294967296", "train.seed"),
        ("subjects: 8", "subjects: 7", "sample.subjects"),
        ("slices: 5", "slices: 4", "sample.slices"),
        ("raw: data/raw", "raw: ''", "data.raw"),
        ("split: given", "split: patient", "data.split"),
        ("folds: 2", "folds: 1", "data.folds"),
        ("fold: 0", "fold: 2", "data: fold"),
        ("data:\n", "datas:\n", "datas"),
        ("  small:", "  2024:", "models.2024"),
        ("  small:", "  CONV:", "models: CONV and conv"),
        (MODELS, "models: {}\n", "models"),
        ("seeds: [0, 1]", "seeds: []", "studies.seed.seeds"),
        ("seeds: [0, 1]", "seeds: [1, 1]", "studies.seed.seeds"),
        ("seeds: [0, 1]", "seeds: [-1]", "studies.seed.seeds.0"),
        ("models: [conv]", "models: [con]", "studies: seed.models: 'con'"),
        ("model: small", "model: smal", "studies: learning_rate.model: 'smal'"),
        ("[0.01, 1e30]", "[]", "studies.learning_rate.values"),
        ("[0.01, 1e30]", "[1, 1.0]", "studies.learning_rate.values"),
        ("[0.01, 1e30]", "[0]", "studies.learning_rate.values.0"),
        ("[4, all]", "[4, every]", "studies.batch_size.values.1"),
        ("studies:", "study:", "study"),
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
    ("key", "lowest", "highest"),
    [
        ("epochs: 2", 1, None),
        ("seed: 3", 0, 4294967295),
        ("subjects: 8", 8, 10_000),
        ("slices: 5", 5, 1000),
        ("height: 36", 8, 4096),
        ("width: 40", 8, 4096),
        ("batch_size: 5", 1, None),
        ("threads: 1", 1, 1024),
        ("folds: 2", 2, 1000),
    ],
)
def test_read_params_takes_the_ends_of_a_range_and_nothing_outside(
    tmp_path: Path, key: str, lowest: int, highest: int | None
) -> None:
    name = key.split(":")[0]
    for value, accepted in ((lowest, True), (lowest - 1, False), (highest, True)):
        if value is not None:
            text = PARAMS.replace(key, f"{name}: {value}", 1)
            assert isinstance(read(tmp_path, text), Params) == accepted
    if highest is not None:
        text = PARAMS.replace(key, f"{name}: {highest + 1}", 1)
        assert isinstance(read(tmp_path, text), str)


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
        *("", "just text", "- 1\n- 2\n", "a: [1", "a: \t- b\n\tc", "&a [*a]", "[" * 5000),
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


def test_read_params_of_a_missing_file_or_other_text_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"params\.yaml"):
        read_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"params\.yaml"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "name",
    ["../x", "a/b", "a\\b", "", " ", "a b", "..", "a.b", "-a", "_a", "1a", "a" * 65, "${x}", "a@b",
     "a:b", "é", "a\nb", "a; touch canary", "$(touch canary)", "con", "NUL", "com1", "majority",
     "Majority", "nearest_neighbour", "nearest_neighbour_random"],
)  # fmt: skip
def test_read_params_refuses_a_model_name_that_cannot_name_files_and_stages(
    tmp_path: Path, name: str
) -> None:
    models = VALUES["models"] | {name: VALUES["models"]["small"]}
    line = read(tmp_path, json.dumps(VALUES | {"models": models}))
    assert isinstance(line, str)
    assert line.startswith("models: ")


@pytest.mark.parametrize("name", ["a" * 64, "majority2", "console", "com", "a-b_C9"])
def test_read_params_takes_other_names(tmp_path: Path, name: str) -> None:
    assert isinstance(read(tmp_path, PARAMS.replace("small", name)), Params)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("params")


@settings(max_examples=100, deadline=None)
@given(st.text())
@example("%YAML 1.1\n---\na: !!bool x")
def test_read_params_of_any_text_is_one_line(folder: Path, text: str) -> None:
    assert isinstance(read(folder, text), str)


PIECES = ["{", "}", "[", "]", ":", "-", "?", "|", ">", "#", "'", '"', "~", "null", "true", "&a",
          "*a", "<<:", "---", "...", "%YAML 1.1\n---\n", "@", "`", "=", "!", "!!int ", "!!float ",
          "!!set ", "!!omap ", "!!binary ", "!!timestamp ", "!!python/name:os.system ", ".nan",
          "-.inf", "-1", "0x1F", "0o17", "12:30:45", "2024-01-01", "\t", "\r", "\0", "\x85",
          "\u2028", "\ufeff", "\n  ", "9" * 5000, "a" * 300]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_read_params_with_pieces_of_yaml_put_in_is_params_or_one_line(
    folder: Path, seed: int, edits: int
) -> None:
    rng, text = random.Random(seed), PARAMS
    for _ in range(edits):
        place = rng.randrange(len(text))
        rest = text[place + rng.choice([0, 0, 1, rng.randrange(10)]) :]
        text = text[:place] + rng.choice([*PIECES, "", chr(rng.randrange(128))]) + rest
    read(folder, text)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
KEYS = [("data",), ("data", "raw"), ("train", "epochs"), ("train", "shuffle"), ("train", "seed"),
        ("sample", "subjects"), ("train", "precision"), ("models",), ("models", "small"),
        ("models", "small", "lr"), ("models", "small", "arch"), ("models", "new"),
        ("new",)]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KEYS), ANY)
def test_read_params_keeps_a_value_as_it_is_or_names_its_key(
    folder: Path, keys: tuple[str, ...], value: Any
) -> None:
    values = copy.deepcopy(VALUES)
    group = values
    for key in keys[:-1]:
        group = group[key]
    group[keys[-1]] = value
    result = read(folder, json.dumps(values, ensure_ascii=False))
    if isinstance(result, str):
        assert keys[-1] in result or "YAML" in result
    else:
        found: Any = result.model_dump()
        for key in keys:
            found = found[key]
        assert type(found) is type(value) or keys[-1] == "lr"
        assert found == value


@pytest.mark.parametrize(
    "text",
    ["", "- 1\n", PARAMS.replace("raw:", "row:"), PARAMS[: PARAMS.index("models")] + "models:\n"],
)
def test_dvc_itself_refuses_params_that_it_cannot_template(tmp_path: Path, text: str) -> None:
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--quiet", "--no-scm"], cwd=tmp_path, check=True)
    (tmp_path / "dvc.yaml").write_bytes((REPO / "dvc.yaml").read_bytes())
    (tmp_path / "params.yaml").write_text(text)
    done = subprocess.run([*dvc, "repro", "--dry", "compare"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 255


@pytest.mark.parametrize(
    "stage", ["sample", "load", "scale", "baselines", "train", "evaluate", "compare", "report"]
)
def test_every_stage_checks_the_whole_params_file(workspace: Path, stage: str) -> None:
    (workspace / "params.yaml").write_text(PARAMS.replace("lr: 1e30", "lr: hot"))
    with pytest.raises(InputError, match=r"models\.conv_hot\.lr"):
        call_stage(workspace, stage, "small")
