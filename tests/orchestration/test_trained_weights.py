"""Weights of other params or other data are named before they are used."""

from pathlib import Path

import pytest

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.orchestration.trained_weights import list_weights_warnings
from tests.helpers.locked_projects import (
    DAMAGED_LOCKS,
    Params,
    hash_text,
    lock_stage,
    start_project,
    write_params,
)

WEIGHTS = paths.weights("net")
SCALED = {"data/scaled/x_train.npy": "1" * 32}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Make a project whose model was trained on the scaled rows; return its params."""
    monkeypatch.chdir(tmp_path)
    params = start_project("net")
    WEIGHTS.parent.mkdir()
    WEIGHTS.write_text("weights")
    lock_stage("scale", {}, SCALED)
    recipe = {"models.net": params["models"]["net"]}
    lock_stage("train@net", SCALED, {WEIGHTS.as_posix(): hash_text("weights")}, recipe)
    return params


def test_weights_of_these_params_and_rows_are_used_without_a_word(project: Params) -> None:
    assert list_weights_warnings("net") == []


def test_weights_of_other_params_name_them(project: Params) -> None:
    project["models"]["net"]["lr"] = 0.5
    write_params(project)
    (warning,) = list_weights_warnings("net")
    assert "models.net.lr 0.1" in warning
    assert "train@net" in warning


def test_weights_of_other_rows_name_them(project: Params) -> None:
    lock_stage("scale", {}, {"data/scaled/x_train.npy": "2" * 32})
    (warning,) = list_weights_warnings("net")
    assert "data/scaled/x_train.npy" in warning


def test_weights_that_no_stage_wrote_are_named(project: Params) -> None:
    WEIGHTS.write_text("of another training")
    (warning,) = list_weights_warnings("net")
    assert WEIGHTS.as_posix() in warning


def test_weights_beside_a_damaged_lock_are_refused(project: Params) -> None:
    Path("dvc.lock").write_bytes(DAMAGED_LOCKS["list"])
    with pytest.raises(InputError, match="git checkout HEAD"):
        list_weights_warnings("net")


def test_weights_of_an_export_or_without_a_lock_are_not_judged(project: Params) -> None:
    assert list_weights_warnings("models") == []
    Path("dvc.lock").unlink()
    WEIGHTS.write_text("of another training")
    assert list_weights_warnings("net") == []
