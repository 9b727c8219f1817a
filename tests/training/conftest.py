from importlib import import_module
from types import ModuleType

import pytest

import mri_stages.models
from tests.helpers.project import REPO


@pytest.fixture
def own_parts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return tests/helpers/own_parts.py as the architecture `own_parts`."""
    folders = [*mri_stages.models.__path__, str(REPO / "tests/helpers")]
    monkeypatch.setattr(mri_stages.models, "__path__", folders)
    return import_module("mri_stages.models.own_parts")
