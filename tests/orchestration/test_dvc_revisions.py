"""What is read of commits, experiments and the workspace."""

import asyncio
from pathlib import Path

import pytest

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.orchestration.dvc_lock import Provenance
from mri_stages.orchestration.dvc_revisions import WORKSPACE, Revision, read_revisions
from tests.helpers.locked_projects import (
    Params,
    commit,
    git,
    save_experiment,
    score,
    start_project,
    write_params,
)

METRICS = paths.new_subject_metrics("net")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Make a project with a committed result; return its params."""
    monkeypatch.chdir(tmp_path)
    params = start_project("net")
    score(params, "net")
    commit()
    return params


def read(name: str) -> Revision:
    return asyncio.run(read_revisions([name]))[0]


def read_lr(name: str) -> float:
    lr: float = read(name).params["params.yaml"]["models"]["net"]["lr"]
    return lr


def test_names_of_a_commit(project: Params) -> None:
    git("tag", "v1")
    git("branch", "other")
    commit_hash = git("rev-parse", "HEAD")
    project["models"]["net"]["lr"] = 1e-8
    write_params(project)
    assert read_lr(WORKSPACE) == 1e-8
    for name in ("HEAD", "v1", "other", commit_hash, commit_hash[:7]):
        assert read_lr(name) == 0.1


def test_name_of_an_experiment(project: Params) -> None:
    project["models"]["net"]["lr"] = 0.5
    write_params(project)
    experiment = save_experiment("half")
    assert read_lr("half") == 0.5
    assert experiment[:7] in read("half").description
    assert "experiment" in read("half").description


def test_name_of_a_branch_and_an_experiment_says_which(project: Params) -> None:
    project["models"]["net"]["lr"] = 0.5
    write_params(project)
    save_experiment("half")
    git("branch", "half")
    assert read_lr("half") == 0.1
    assert "not the experiment" in read("half").description


def test_unknown_name_is_refused(project: Params) -> None:
    with pytest.raises(InputError, match="nonsense"):
        read("nonsense")


def test_unknown_name_in_a_shallow_clone_names_the_command(
    project: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit()
    git("clone", "--quiet", "--depth", "1", tmp_path.as_uri(), "clone")
    with pytest.raises(InputError, match="HEAD~9") as whole:
        read("HEAD~9")
    assert "git fetch" not in str(whole.value)

    monkeypatch.chdir("clone")
    assert read("HEAD").metrics
    with pytest.raises(InputError, match="git fetch --unshallow"):
        read("HEAD~1")


def test_commit_without_params_is_refused(project: Params) -> None:
    git("rm", "--quiet", "params.yaml")
    commit()
    with pytest.raises(InputError, match=r"HEAD.*params\.yaml"):
        read("HEAD")


def test_commit_of_broken_params_is_refused(project: Params) -> None:
    paths.PARAMS.write_text("<<<<<<< HEAD\na: b: c\n")
    commit()
    with pytest.raises(InputError, match=r"HEAD: params\.yaml"):
        read("HEAD")


def test_project_in_a_folder_of_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    folder = tmp_path / "larger/project"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    score(start_project("net"), "net")
    commit()
    revision = read("HEAD")
    assert list(revision.metrics) == [METRICS]
    assert revision.judge_metrics(METRICS).provenance is Provenance.CURRENT


@pytest.mark.parametrize("name", ["HEAD", WORKSPACE])
def test_metrics_of_params_that_did_not_run(project: Params, name: str) -> None:
    assert read(name).judge_metrics(METRICS).provenance is Provenance.CURRENT
    project["train"]["epochs"] = 4
    write_params(project)
    commit()
    assert read(name).judge_metrics(METRICS).provenance is Provenance.OTHER_PARAMS


def test_hash_of_added_data(project: Params) -> None:
    Path("data").mkdir(exist_ok=True)
    Path("data/raw.dvc").write_text("outs:\n- md5: abc.dir\n  path: raw\n")
    write_params(project | {"data": {"raw": "data/raw"}})
    commit()
    assert read("HEAD").added_files == {"data/raw": "abc.dir"}
