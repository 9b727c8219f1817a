"""A finished pipeline of two models, and what must hold after any fault."""

import hashlib
import re
import signal
from pathlib import Path

import pytest
import yaml
from tests.pipeline.conftest import Clone, new_clone

# SIGINT is ignored in a background job, and would be in all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

MODELS = ("simple_nn2", "conv_nn2")


def two_models(repo: Path, folder: Path) -> Clone:
    """Return a new clone with small params and only the MODELS."""
    clone = new_clone(repo, folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["models"] = {name: params["models"][name] for name in MODELS}
    params["cross_validation"]["models"] = {MODELS[0]: MODELS[0]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    clone.commit("two models")
    return clone


@pytest.fixture(scope="session")
def finished(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return two models after an undisturbed `dvc repro`; tests that change it take a copy."""
    clone = two_models(repo, tmp_path_factory.mktemp("finished") / "clone")
    clone.repro()
    clone.commit("results")
    return clone


@pytest.fixture
def clone(finished: Clone, tmp_path: Path) -> Clone:
    return finished.copy(tmp_path / "clone")


def damaged_objects(clone: Clone) -> list[str]:
    """Return the objects of DVC's cache that are not what their name, an MD5, says."""
    return [
        str(path)
        for path in (clone.folder / ".dvc/cache/files/md5").glob("??/*")
        if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name)
        and hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.name[:30]
    ]
