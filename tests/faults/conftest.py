"""A finished pipeline of two models, and what must hold of any other whatever came over it."""

import hashlib
import re
import signal
from pathlib import Path

import pytest

from tests.pipeline.conftest import Clone, new_clone

# In a job in the background SIGINT is ignored, and would be in all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

MODELS = ("simple_nn2", "conv_nn2")
NO_OUT = (".partial", ".run.json", ".checkpoint", ".gitignore")


def two_models(repo: Path, folder: Path) -> Clone:
    """A new clone with small params and the MODELS alone."""
    clone = new_clone(repo, folder)
    text = (folder / "params.yaml").read_text()
    head, rest = text.split("\nmodels:")
    models, studies = rest.split("\nstudies:")
    for name in re.findall(r"^  (\w+):", models, re.MULTILINE):
        if name not in MODELS:
            models = re.sub(rf"\n  {name}:(\n    .*)+", "", models)
    (folder / "params.yaml").write_text(f"{head}\nmodels:{models}\nstudies:{studies}")
    clone.commit("two models")
    return clone


@pytest.fixture(scope="session")
def finished(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Two models after an undisturbed `dvc repro`; tests that change it take a copy."""
    clone = two_models(repo, tmp_path_factory.mktemp("finished") / "clone")
    clone.repro()
    clone.commit("results")
    return clone


@pytest.fixture
def clone(finished: Clone, tmp_path: Path) -> Clone:
    return finished.copy(tmp_path / "clone")


def outs(clone: Clone) -> dict[str, bytes]:
    """All files at the places of outs."""
    return {
        str(path.relative_to(clone.folder)): path.read_bytes()
        for top in ("data", "models", "metrics", "plots")
        for path in (clone.folder / top).rglob("*")
        if path.is_file() and ".partial" not in str(path) and not path.name.endswith(NO_OUT)
    }


def damaged_objects(clone: Clone) -> list[str]:
    """Objects of DVC's cache that are not what their name, an MD5, says."""
    return [
        str(path)
        for path in (clone.folder / ".dvc/cache/files/md5").glob("??/*")
        if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name)
        and hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.name[:30]
    ]
