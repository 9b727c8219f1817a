"""Any text in params.yaml is a valid object or one line, and none of it is run."""

import random
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from src.cli import InputError
from src.params import Params, read_params
from tests.conftest import PARAMS, REPO

# Pieces of YAML that mean something, or look as if they did.
PIECES = ["{", "}", "[", "]", ":", "-", "?", "|", ">", "#", "'", '"', "~", "null", "yes", "true",
          "&a", "*a", "<<:", "---", "...", "%YAML 1.1\n---\n", "@", "`", "=", "!", "!!int ",
          "!!float ", "!!bool ", "!!set ", "!!omap ", "!!pairs ", "!!binary ", "!!timestamp ",
          "!!python/name:os.system ", "!!python/object/apply:os.system ", "${x}", ".nan", "-.inf",
          "-1", "0", "1e-8", "1e400", "0x1F", "0o17", "1_000", "12:30:45", "2024-01-01", "\\x",
          "\t", "\n", "\r", "\0", "\x85", "\u2028", "\ufeff", "\n  ", "9" * 5000, "a" * 300,
          "[" * 2000]  # fmt: skip


def read(folder: Path, text: str) -> Params | str:
    """What is read from the text: an object, or the one line."""
    path = folder / "params.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    try:
        params = read_params(path)
    except InputError as error:
        line = str(error)
        assert line.startswith(f"{path}: ")
        assert "\n" not in line
        assert len(line) < 600
        return line
    assert params == Params.model_validate(params.model_dump())
    return params


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("params")


@settings(max_examples=100, deadline=None)
@given(st.text())
@example("&a [*a]")
@example("a: &a [1, 1]\nb: &b [*a, *a]\nc: &c [*b, *b]\nmodels: [*c, *c]")
@example("%YAML 1.1\n---\na: !!bool x")
def test_any_text(folder: Path, text: str) -> None:
    assert isinstance(read(folder, text), str)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_the_real_file_with_pieces_put_in_and_cut_out(folder: Path, seed: int, edits: int) -> None:
    rng, text = random.Random(seed), PARAMS
    for _ in range(edits):
        place = rng.randrange(len(text))
        rest = text[place + rng.choice([0, 0, 1, rng.randrange(10)]) :]
        text = text[:place] + rng.choice([*PIECES, "", chr(rng.randrange(128))]) + rest
    read(folder, text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = [("data",), ("data", "raw"), ("train", "epochs"), ("train", "shuffle"), ("train", "seed"),
        ("sample", "subjects"), ("train", "precision"), ("models",), ("models", "small"),
        ("models", "small", "lr"), ("models", "small", "arch"), ("models", "small", "batch_size"),
        ("models", "small", "epochs"), ("models", "new"), ("new",)]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KEYS), VALUES)
def test_a_value_is_taken_as_it_is_or_its_key_is_named(
    folder: Path, keys: tuple[str, ...], value: Any
) -> None:
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load(PARAMS)
    group = values
    for key in keys[:-1]:
        group = group[key]
    group[keys[-1]] = value
    text = StringIO()
    yaml.dump(values, text)
    result = read(folder, text.getvalue())
    if isinstance(result, str):
        assert keys[-1] in result or "no readable YAML" in result
    else:
        found: Any = result.model_dump()
        for key in keys:
            found = found[key]
        assert type(found) is type(value) or keys[-1] == "lr"
        assert found == value


# Ten to the power of thirty values, if one wrote them out.
BOMB = "data:\n  raw: &x0 [a]\n" + "".join(
    f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]\n" for i in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (BOMB, "data.raw is ['a'] (list)"),
        (
            PARAMS[: PARAMS.index("models")]
            + BOMB[BOMB.index("x1") :].replace("*x0", "1")
            + "models: *x29",
            "models is [[[...], [...]",
        ),
        (PARAMS + 900 * "a" + ": 1\n", 70 * "a" + " is no known key"),
        (PARAMS.replace("models:", "models: !!timestamp"), "failed to construct timestamp"),
        (PARAMS.replace("raw: data/raw", "raw: [[[[[[]]]]]]"), "data.raw is [[[...]]] (list)"),
        (PARAMS.replace("lr: 0.01", "lr: &a 0.01\n    epochs: *a", 1), "models.small.epochs is"),
        (PARAMS.replace("lr: 0.01", "lr: &a 0.01\n    seed: *b", 1), "no readable YAML"),
        (PARAMS.replace("epochs: 2", "epochs: 2\n  epochs: 3"), "duplicate key"),
        (
            "x0: &x0 {a: 1}\n"
            + "".join(
                f"x{i}: &x{i} {{<<: [{', '.join([f'*x{i - 1}'] * 10)}]}}\n" for i in range(1, 30)
            )
            + PARAMS,
            "merge keys (<<) are not taken",
        ),
        (PARAMS.replace("  epochs: 2", "\tepochs: 2"), "no readable YAML"),
        (PARAMS.replace("lr: 0.01", "lr: !!python/object/apply:os.system [x]"), "no readable YAML"),
        (PARAMS.replace("lr: 0.01", "lr: 1e400", 1), "models.small.lr is inf"),
        (PARAMS.replace("lr: 0.01", "lr: 1e-400", 1), "models.small.lr is 0.0"),
    ],
)
def test_what_is_meant_to_break_a_parser(tmp_path: Path, text: str, fragment: str) -> None:
    line = read(tmp_path, text)
    assert isinstance(line, str)
    assert fragment in line


@pytest.mark.parametrize(
    "name",
    ["../x", "a/b", "a\\b", "", " ", "a b", ".", "..", "a.b", "-a", "_a", "1a", "a" * 65, "a" * 300,
     "${x}", "${models}", "a@b", "a:b", "é", "a\nb", "a; touch canary", "$(touch canary)", "a\x00b",
     "con", "NUL", "com1", "majority", "Majority", "nearest_neighbour", "nearest_neighbour_random",
     "nearest_neighbour_subject"],
)  # fmt: skip
def test_a_model_name_that_is_no_file_name(tmp_path: Path, name: str) -> None:
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load(PARAMS)
    values["models"][name] = values["models"]["small"]
    text = StringIO()
    yaml.dump(values, text)
    line = read(tmp_path, text.getvalue())
    assert isinstance(line, str)
    assert "models: " in line
    assert any(word in line for word in ("expected a letter", "is reserved"))


def test_the_longest_name_and_those_beside_the_reserved(tmp_path: Path) -> None:
    for name in ("a" * 64, "majority2", "console", "com"):
        assert isinstance(read(tmp_path, PARAMS.replace("small", name)), Params)


def test_a_name_that_would_steer_the_terminal_is_one_line(
    workspace: Path, stage_error: Callable[..., str]
) -> None:
    (workspace / "params.yaml").write_text(PARAMS.replace("small:", '"\\e[2J; touch canary":'))
    assert "'\\x1b[2J; touch canary' names files and stages" in stage_error("sample")
    (workspace / "params.yaml").write_text(PARAMS.replace("raw: data/raw", 'row: 1\n  "\\e[2J": 1'))
    assert "data.row is no known key" in stage_error("sample")
    (workspace / "params.yaml").write_text(PARAMS.replace("data:", '"\\e[2J": 1\ndata:'))
    assert "\\x1b[2J is no known key" in stage_error("sample")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Could not find 'models'"),
        ("- 1\n", "expected a dictionary, got 'list' in file 'params.yaml'"),
        (PARAMS.replace("  raw", "\traw"), "YAML file structure is corrupted"),
        (PARAMS.replace("raw:", "row:"), "'stages.load.deps' in 'dvc.yaml': Could not find"),
        (PARAMS[: PARAMS.index("models")] + "models:\n", "expected list/dictionary, got NoneType"),
    ],
)
def test_what_dvc_says_of_a_file_that_it_cannot_template(
    tmp_path: Path, text: str, said: str
) -> None:
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--quiet", "--no-scm"], cwd=tmp_path, check=True)
    (tmp_path / "dvc.yaml").write_bytes((REPO / "dvc.yaml").read_bytes())
    (tmp_path / "params.yaml").write_text(text)
    done = subprocess.run(
        [*dvc, "repro", "--dry", "compare"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 255
    assert said in done.stderr
