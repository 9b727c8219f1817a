"""The pipeline as its users run it: the real dvc, in temporary Git repositories."""

from pathlib import Path

import pytest

from tests.helpers.clones import Clone, new_clone, share_clone


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone after a cold `dvc repro`, committed; tests that change it take a copy."""
    return share_clone(tmp_path_factory, "finished", finish_pipeline)


def finish_pipeline(folder: Path) -> Clone:
    clone = new_clone(folder)
    clone.cold_run = clone.repro()
    clone.commit("results")
    return clone


@pytest.fixture
def clone(finished: Clone, tmp_path: Path) -> Clone:
    return finished.copy(tmp_path / "clone")


@pytest.fixture(scope="session")
def studied(finished: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone after `make studies`, committed; tests that change it take a copy."""

    def run_studies(folder: Path) -> Clone:
        clone = finished.copy(folder)
        clone.shell("make studies SETUP=requirements.lock")  # with this environment, not .venv
        clone.commit("studies")
        return clone

    return share_clone(tmp_path_factory, "studied", run_studies)
