"""The pipeline as its users run it: the real dvc, in temporary Git repositories."""

from pathlib import Path

import pytest

from tests.helpers.clones import Clone, new_clone


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone after a cold `dvc repro`, committed; tests that change it take a copy."""
    clone = new_clone(tmp_path_factory.mktemp("finished") / "clone")
    clone.cold_run = clone.repro()
    clone.commit("results")
    return clone


@pytest.fixture
def clone(finished: Clone, tmp_path: Path) -> Clone:
    return finished.copy(tmp_path / "clone")


@pytest.fixture(scope="session")
def studied(finished: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone after `make studies`, committed; tests that change it take a copy."""
    clone = finished.copy(tmp_path_factory.mktemp("studied") / "clone")
    clone.shell("make studies SETUP=requirements.lock")  # with this environment, not .venv
    clone.commit("studies")
    return clone
