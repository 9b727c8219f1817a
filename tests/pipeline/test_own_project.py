"""Lint and tests stay green in a user's project: after README's steps, with a network and data."""

import re
import shutil

import pytest

from tests.helpers.clones import Clone, new_clone
from tests.helpers.project import REPO
from tests.helpers.raw_folders import write_raw
from tests.helpers.reference import reference_params

pytestmark = pytest.mark.slow

# Without type annotations and in a style of its own: a user's file may have any.
ARCHITECTURE = """\
from torch import nn
from math import prod
def make_network(image_shape, n_classes):
    return nn.Sequential( nn.Flatten(), nn.Linear(prod(image_shape),n_classes) )
"""
README_LEARNING_RATE = r"sed -i.bak '/^  conv_nn2:/,/lr:/s/lr: 0.01/lr: 0.001/' params.yaml"
README_RAW_FOLDER = "sed -i.bak 's#raw: data/sample#raw: data/raw#' params.yaml"
MYPY_CACHE = REPO / ".mypy_cache"
README_MODEL = re.compile(r"^\$ (mri-stages models add .*)$", re.MULTILINE)
# The tests that could look at params.yaml, the architectures, or the results. Those of the other
# packages have inputs of their own and take minutes: they are collected, but not run.
TESTS = (
    "tests/commands/test_repro.py::test_repro_lists_the_architectures",
    *("tests/config", "tests/models", "tests/pipeline"),
    *sorted(path.relative_to(REPO).as_posix() for path in REPO.glob("tests/test_*.py")),
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a project after README's steps, with data of its own and without any result."""
    clone = new_clone(tmp_path_factory.mktemp("own") / "clone", reference_params())
    clone.shell(README_LEARNING_RATE)
    clone.shell(README_RAW_FOLDER)
    write_raw(clone.folder / "data/raw")

    readme = (REPO / "README.md").read_text(encoding="utf-8")
    (command,) = README_MODEL.findall(readme)
    clone.shell(command)

    (clone.folder / "src/mri_stages/models/my_net.py").write_text(ARCHITECTURE)
    clone.shell("mri-stages models add mine my_net lr=0.1 batch_size=5 --cross-validate")
    clone.shell("mri-stages models remove conv_nn3 conv_nn4")
    clone.commit("our project")
    return clone


@pytest.mark.parametrize("command", [README_LEARNING_RATE, README_RAW_FOLDER])
def test_steps_are_those_of_readme(command: str) -> None:
    assert command in (REPO / "README.md").read_text(encoding="utf-8")


def test_lint_passes_in_an_own_project(own: Clone) -> None:
    # mypy hashes each file: only what differs from this checkout is read again.
    if MYPY_CACHE.exists():
        shutil.copytree(MYPY_CACHE, own.folder / MYPY_CACHE.name)
    own.run("make", "lint", "SETUP=requirements.lock")  # with this environment, not .venv


def test_fast_tests_pass_in_an_own_project(own: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MRI_STAGES_REFERENCE", raising=False)
    output = own.run("python", "-m", "pytest", "-q", *TESTS)
    assert "README and docs do not describe this checkout" in output


def test_all_tests_are_collected_in_an_own_project(own: Clone) -> None:
    own.run("python", "-m", "pytest", "-q", "--collect-only", "-m", "slow or not slow")
