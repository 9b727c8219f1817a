"""A finished pipeline of two models, which the tests disturb."""

from pathlib import Path

import pytest

from tests.helpers.clones import Clone, new_clone, share_two_models
from tests.helpers.pipeline_params import TWO_MODEL_PARAMS


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return two models after an undisturbed `dvc repro`; tests that change it take a copy."""
    return share_two_models(tmp_path_factory)


@pytest.fixture
def new(tmp_path: Path) -> Clone:
    """Return the same two models before their first run."""
    return new_clone(tmp_path / "new", TWO_MODEL_PARAMS)


@pytest.fixture
def clone(finished: Clone, tmp_path: Path) -> Clone:
    return finished.copy(tmp_path / "clone")
