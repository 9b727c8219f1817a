"""DVC's commands in a fresh clone, whose cache lacks the studies: they work and do not complain."""

import csv
import re
from pathlib import Path

import pytest
from tests.pipeline.conftest import Clone

NAME = "models/simple_nn2.safetensors"
UP_TO_DATE = "Data and pipelines are up to date.\n"


@pytest.fixture(scope="module")
def fresh_after_run(studied: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a new clone, with an empty cache, after the pipeline ran in it; tests copy it."""
    clone = studied.git_clone(tmp_path_factory.mktemp("fresh") / "another name")
    clone.shell("make run SETUP=requirements.lock")  # with this environment, not .venv
    return clone


@pytest.fixture
def fresh(fresh_after_run: Clone, tmp_path: Path) -> Clone:
    return fresh_after_run.copy(tmp_path / "fresh")


def quiet(clone: Clone, *command: str) -> str:
    """Run a command, which must not complain; return its output."""
    output = clone.run(*command)
    complaints = re.findall("WARNING|ERROR|missing|not in cache|does not exist|deleted", output)
    assert not complaints, output
    return output


def test_another_clone_has_the_same_bytes_and_nothing_to_do(finished: Clone, fresh: Clone) -> None:
    # One was made by `dvc repro`, the other by mri-stages repro.
    made, expected = fresh.outs(), finished.outs()
    assert [out for out in expected if made.get(out) != expected[out]] == []
    assert fresh.run("git", "status", "--short") == ""
    assert fresh.repro() == []
    assert quiet(fresh, "dvc", "status") == UP_TO_DATE
    assert "studies" not in quiet(fresh, "dvc", "data", "status")
    assert quiet(fresh, "dvc", "diff") == quiet(fresh, "dvc", "checkout") == ""
    quiet(fresh, "dvc", "plots", "diff")
    (fresh.folder / NAME).unlink()
    assert NAME in quiet(fresh, "dvc", "checkout")
    assert quiet(fresh, "dvc", "status") == UP_TO_DATE


def test_exp_run_apply_save_and_show(fresh: Clone) -> None:
    before = (fresh.folder / NAME).read_bytes()
    aside, lr = "dvc exp run --temp -n", "-S models.simple_nn2.lr"
    fresh.shell(f"{aside} negative -S evaluation.negative_class=NonDemented baselines")
    fresh.shell(f"{aside} a {lr}=0.003")
    assert (fresh.folder / NAME).read_bytes() == before
    quiet(fresh, "bash", "-c", "dvc exp apply a")
    assert "lr: 0.003" in (fresh.folder / "params.yaml").read_text()
    assert (fresh.folder / NAME).read_bytes() != before
    assert quiet(fresh, "dvc", "status", "dvc.yaml") == UP_TO_DATE  # the studies are stale
    quiet(fresh, "dvc", "exp", "save", "-n", "b")
    fresh.shell(f"dvc exp run -n c {lr}=0.001")
    rows = csv.DictReader(fresh.run("dvc", "exp", "show", "--csv").splitlines())
    shown = {row["Experiment"] or row["rev"]: row for row in rows}
    assert [shown[name]["models.simple_nn2.lr"] for name in "abc"] == ["0.003", "0.003", "0.001"]
    negative = [shown[name]["evaluation.negative_class"] for name in ("negative", "workspace")]
    assert negative[0] == "NonDemented" != negative[1]


def test_push_then_pull_in_another_clone(fresh: Clone, tmp_path: Path) -> None:
    add_remote = ("dvc", "remote", "add", "--default", "--local", "store", str(tmp_path / "store"))
    fresh.run(*add_remote)
    assert quiet(fresh, "dvc", "push").endswith("files pushed\n")
    for names, command in (("pulled", ["pull"]), ("reproduced", ["repro", "--pull"])):
        other = fresh.git_clone(tmp_path / names)
        other.run(*add_remote)
        assert "Running stage" not in quiet(other, "dvc", *command)
        assert quiet(other, "dvc", "status") == UP_TO_DATE
        assert other.outs() == fresh.outs()
        assert other.run("git", "status", "--short") == ""


def test_install_then_git_commit_and_checkout(fresh: Clone) -> None:
    quiet(fresh, "dvc", "install")
    before = (fresh.folder / NAME).read_bytes()
    fresh.edit_model("simple_nn2", "lr: 0.01", "lr: 0.003")
    fresh.repro()
    after = (fresh.folder / NAME).read_bytes()
    quiet(fresh, "git", "commit", "--all", "--message", "another learning rate")
    quiet(fresh, "git", "checkout", "HEAD~1")
    assert (fresh.folder / NAME).read_bytes() == before != after
    quiet(fresh, "git", "checkout", "-")
    assert (fresh.folder / NAME).read_bytes() == after
    assert quiet(fresh, "dvc", "status", "dvc.yaml") == UP_TO_DATE  # the studies are stale
