"""DVC's commands in a fresh clone, whose cache lacks the studies: they work and do not complain."""

import csv
import re
from pathlib import Path

import pytest

from tests.helpers.clones import Clone
from tests.helpers.params import load_params

pytestmark = pytest.mark.slow

WEIGHTS = "models/simple_nn2.safetensors"
LEARNING_RATE = "models.simple_nn2.lr"
UP_TO_DATE = "Data and pipelines are up to date.\n"
COMPLAINT = re.compile("WARNING|ERROR|missing|not in cache|does not exist|deleted")


@pytest.fixture(scope="module")
def fresh_after_run(studied: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a new clone, with an empty cache, after the pipeline ran in it; tests copy it."""
    clone = studied.git_clone(tmp_path_factory.mktemp("fresh") / "another name")
    clone.shell("make run SETUP=requirements.lock")  # with this environment, not .venv
    return clone


@pytest.fixture
def fresh(fresh_after_run: Clone, tmp_path: Path) -> Clone:
    return fresh_after_run.copy(tmp_path / "fresh")


def run_quietly(clone: Clone, *command: str) -> str:
    """Run a command, which must not complain; return its output."""
    output = clone.run(*command)
    assert COMPLAINT.findall(output) == [], output
    return output


def assert_pipeline_is_up_to_date(clone: Clone) -> None:
    # The studies are stale: their own dvc.yaml is left out.
    assert run_quietly(clone, "dvc", "status", "dvc.yaml") == UP_TO_DATE


def test_local_runner_gives_the_bytes_of_dvc_repro(finished: Clone, fresh: Clone) -> None:
    # `dvc repro` made one, `mri-stages repro` the colleague.
    outs = fresh.read_outs()
    expected = finished.read_outs()
    assert [name for name in expected if outs.get(name) != expected[name]] == []


def test_dvc_has_nothing_to_do_in_a_fresh_clone(fresh: Clone) -> None:
    assert fresh.run("git", "status", "--short") == ""
    assert fresh.repro() == []
    assert run_quietly(fresh, "dvc", "status") == UP_TO_DATE
    assert "studies" not in run_quietly(fresh, "dvc", "data", "status")
    assert run_quietly(fresh, "dvc", "diff") == ""
    assert run_quietly(fresh, "dvc", "checkout") == ""
    run_quietly(fresh, "dvc", "plots", "diff")


def test_dvc_checkout_restores_a_deleted_out(fresh: Clone) -> None:
    (fresh.folder / WEIGHTS).unlink()
    assert WEIGHTS in run_quietly(fresh, "dvc", "checkout")
    assert run_quietly(fresh, "dvc", "status") == UP_TO_DATE


def test_exp_run_apply_save_and_show(fresh: Clone) -> None:
    weights_before = (fresh.folder / WEIGHTS).read_bytes()
    change = f"-S {LEARNING_RATE}"

    # Experiments in a copy of the workspace leave the workspace as it is.
    negative_class = "-S evaluation.negative_class=NonDemented"
    fresh.shell(f"dvc exp run --temp -n negative {negative_class} baselines")
    fresh.shell(f"dvc exp run --temp -n a {change}=0.003")
    assert (fresh.folder / WEIGHTS).read_bytes() == weights_before

    run_quietly(fresh, "bash", "-c", "dvc exp apply a")
    assert load_params(fresh.folder)["models"]["simple_nn2"]["lr"] == 0.003
    assert (fresh.folder / WEIGHTS).read_bytes() != weights_before
    assert_pipeline_is_up_to_date(fresh)

    run_quietly(fresh, "dvc", "exp", "save", "-n", "b")
    fresh.shell("dvc exp run -n c -S data.title=Heads plot_sample")
    rows = csv.DictReader(fresh.run("dvc", "exp", "show", "--csv").splitlines())
    experiments = {row["Experiment"] or row["rev"]: row for row in rows}
    rates = [experiments[name][LEARNING_RATE] for name in ("a", "b")]
    assert rates == ["0.003", "0.003"]
    assert experiments["c"]["data.title"] == "Heads"
    assert experiments["negative"]["evaluation.negative_class"] == "NonDemented"
    assert experiments["workspace"]["evaluation.negative_class"] != "NonDemented"


@pytest.mark.parametrize("command", [["pull"], ["repro", "--pull"]])
def test_push_brings_all_outs_to_another_clone(
    fresh: Clone, tmp_path: Path, command: list[str]
) -> None:
    add_remote = ("dvc", "remote", "add", "--default", "--local", "store", str(tmp_path / "store"))
    fresh.run(*add_remote)
    assert run_quietly(fresh, "dvc", "push").endswith("files pushed\n")

    colleague = fresh.git_clone(tmp_path / "colleague")
    colleague.run(*add_remote)
    assert "Running stage" not in run_quietly(colleague, "dvc", *command)
    assert run_quietly(colleague, "dvc", "status") == UP_TO_DATE
    assert colleague.read_outs() == fresh.read_outs()
    assert colleague.run("git", "status", "--short") == ""


def test_git_checkout_brings_the_outs_after_dvc_install(fresh: Clone) -> None:
    run_quietly(fresh, "dvc", "install")
    weights_before = (fresh.folder / WEIGHTS).read_bytes()
    fresh.change_params({LEARNING_RATE: 0.003})
    fresh.repro("train@simple_nn2")
    weights_after = (fresh.folder / WEIGHTS).read_bytes()
    assert weights_after != weights_before

    run_quietly(fresh, "git", "commit", "--all", "--message", "another learning rate")
    run_quietly(fresh, "git", "checkout", "HEAD~1")
    assert (fresh.folder / WEIGHTS).read_bytes() == weights_before
    run_quietly(fresh, "git", "checkout", "-")
    assert (fresh.folder / WEIGHTS).read_bytes() == weights_after
    assert run_quietly(fresh, "dvc", "status", "train@simple_nn2") == UP_TO_DATE


def test_clone_with_crlf_is_up_to_date_after_checkout(fresh: Clone, tmp_path: Path) -> None:
    # Git for Windows ends lines with CRLF by default, and DVC hashes files as they lie on disk.
    clone = fresh.git_clone(tmp_path / "crlf", "--config", "core.autocrlf=true")
    clone.run("cp", "-r", str(fresh.folder / ".dvc/cache"), ".dvc/cache")
    clone.run("dvc", "checkout", "--quiet")
    assert run_quietly(clone, "dvc", "status") == UP_TO_DATE
