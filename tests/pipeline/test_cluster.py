"""Trainings on the workers of a real Dask scheduler, in clones of their own."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.clones import RESULTS, STUDIES, Clone, new_clone, share_two_models
from tests.helpers.pipeline_params import TWO_MODEL_PARAMS

pytestmark = pytest.mark.slow
DASK = (sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1")
WORKER = (sys.executable, "-m", "distributed.cli.dask_worker")
TRAINED = re.compile(r"^(\S+): done on (tcp://\S+) in", re.MULTILINE)
SENT = ["train", "cross_validate", "studies/dvc.yaml:seed"]

# Ends when its input does.
ADAPTIVE_CLUSTER = """\
from distributed import LocalCluster

if __name__ == "__main__":
    cluster = LocalCluster(
        n_workers=0, threads_per_worker=1, dashboard_address=None, local_directory={folder!r}
    )
    cluster.adapt(minimum=0, maximum=1)
    print(cluster.scheduler_address, flush=True)
    input()
"""


class Cluster:
    """A scheduler and workers as processes, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scheduler, line = self.start("scheduler", *DASK, "--port", "0")
        self.address = re.findall(r"tcp://[\d.:]+", line)[0]
        self.workers: dict[str, subprocess.Popen[str]] = {}  # by address

    def start(self, name: str, *command: str) -> tuple[subprocess.Popen[str], str]:
        """Start a process; return it, and its first line with its own address."""
        (self.folder / name).mkdir(parents=True)
        process = subprocess.Popen(
            [*command, "--no-dashboard"], cwd=self.folder / name, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "DASK_TEMPORARY_DIRECTORY": str(self.folder / name)},
        )  # fmt: skip
        assert process.stderr
        lines = (
            line for line in process.stderr if "Scheduler at:" in line or "Start worker" in line
        )
        return process, next(lines)

    def add_worker(self, name: str, *options: str) -> str:
        command = (*WORKER, self.address, "--no-nanny", "--nthreads", "1", *options)
        process, line = self.start(name, *command)
        address: str = re.findall(r"tcp://[\d.:]+", line)[0]
        self.workers[address] = process
        return address

    def kill(self, process: subprocess.Popen[str]) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "cluster")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.address)
    yield cluster
    for process in (*cluster.workers.values(), cluster.scheduler):
        if process.poll() is None:
            cluster.kill(process)


@pytest.fixture
def adaptive_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of a cluster that has no worker before a task waits for one."""
    folder = tmp_path / "adaptive"
    folder.mkdir()
    code = ADAPTIVE_CLUSTER.format(folder=str(folder))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    address = process.stdout.readline().strip()
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
    yield address
    process.communicate("end\n")


@pytest.fixture
def head(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Clone:
    """Return a new clone of results, with an empty cache and a folder as DVC remote."""
    finished = share_two_models(tmp_path_factory)
    finished.repro("studies/dvc.yaml:seed")
    finished.commit("a study")
    head = finished.git_clone(tmp_path / "head")
    add_remote(head, str(tmp_path / "remote"))
    return head


@pytest.fixture(scope="session")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone of two models, with the scaled rows that they train on."""
    clone = new_clone(tmp_path_factory.mktemp("scaled") / "clone", TWO_MODEL_PARAMS)
    clone.repro("scale")
    clone.commit("scaled rows")
    return clone


@pytest.fixture
def small_head(scaled: Clone, tmp_path: Path) -> Clone:
    """Return a copy of the clone with the scaled rows, and a folder as DVC remote."""
    head = scaled.copy(tmp_path / "small_head")
    add_remote(head, str(tmp_path / "remote"))
    return head


def add_remote(head: Clone, folder: str) -> None:
    head.run("dvc", "remote", "add", "--quiet", "--default", "cluster", folder)


def list_remote_stages(head: Clone) -> set[str]:
    """Return the stages that may run on another machine."""
    stages = set()
    for file, prefix in (("dvc.yaml", ""), ("studies/dvc.yaml", "studies/dvc.yaml:")):
        text = (head.folder / file).read_text()
        lock = yaml.safe_load((head.folder / file).with_suffix(".lock").read_text())
        for name, stage in yaml.safe_load(text)["stages"].items():
            if stage.get("do", stage).get("meta", {}).get("remote"):
                stages |= {
                    f"{prefix}{locked}" for locked in lock["stages"] if locked.split("@")[0] == name
                }
    return stages


def list_trained(output: str) -> set[str]:
    """Return the stages that a worker ran."""
    return {stage for stage, _ in TRAINED.findall(output)}


def list_started_here(output: str) -> set[str]:
    """Return the stages that the head started."""
    return set(re.findall(r"^(\S+): started", output, re.MULTILINE))


def read_table(output: str) -> dict[str, str]:
    """Return where each stage ran, by the table at the end."""
    _, _, table = output.partition("\nstage ")
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[0]: row[1] for row in rows if len(row) > 1}


def repro(head: Clone, *names: str) -> str:
    return head.run("python", "-m", "mri_stages", "repro", *names)


def fail_repro(head: Clone, *names: str) -> str:
    """Run `mri-stages repro`, which must end with status 1; return its output."""
    process = head.start("python", "-m", "mri_stages", "repro", *names)
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert "Traceback" not in output
    return output


def test_remote_stages_are_all_that_train(studied: Clone) -> None:
    stages = list_remote_stages(studied)
    assert {stage.split("@")[0] for stage in stages} == {
        "train",
        "cross_validate",
        *(f"studies/dvc.yaml:{study}" for study in STUDIES),
    }


def test_workers_give_the_bytes_of_a_local_run(cluster: Cluster, head: Clone) -> None:
    """One worker is killed during its second stage; another one has the wrong options."""
    cluster.add_worker("first")
    cluster.add_worker("second")
    worker_with_two_threads = cluster.add_worker("third", "--nthreads", "2")
    expected = {stage for stage in list_remote_stages(head) if stage.split("@")[0] in SENT}
    shutil.rmtree(head.folder / "studies/runs/seed")  # It lies in Git.
    (head.folder / "studies/dvc.lock").unlink()

    process = head.start("python", "-m", "mri_stages", "repro", *SENT)
    assert process.stdout
    output = ""
    with process.stdout:
        for line in process.stdout:
            output += line
            match = TRAINED.match(line)
            if match is not None and len(list_trained(output)) == 1:
                cluster.kill(cluster.workers[match[2]])
    assert process.wait() == 0, output

    assert list_trained(output) == expected
    assert not list_started_here(output) & expected
    assert output.count(f"{worker_with_two_threads}: ") == 1  # It refused, and is named.
    assert head.run("git", "status", "--short", "--", *RESULTS, ":!studies/dvc.lock") == ""
    lock = yaml.safe_load(head.run("git", "show", "HEAD:studies/dvc.lock"))
    new_lock = yaml.safe_load((head.folder / "studies/dvc.lock").read_text())
    assert new_lock["stages"].items() <= lock["stages"].items()
    check_outs_of_runs(head.folder.parent / "remote")


def check_outs_of_runs(remote: Path) -> None:
    """Check the rule on pushes: the remote has all that a training in its run cache names."""
    for path in (remote / "runs").rglob("*"):
        if not path.is_file():
            continue
        run: dict[str, Any] = yaml.safe_load(path.read_text())
        if "stages.train " in run["cmd"] or "stages.cross_validate" in run["cmd"]:
            for out in run["outs"]:
                assert (remote / "files/md5" / out["md5"][:2] / out["md5"][2:]).exists(), out


def test_workers_keep_results_of_a_killed_head(cluster: Cluster, small_head: Clone) -> None:
    cluster.add_worker("only")
    process = small_head.start("python", "-m", "mri_stages", "repro", "train")
    assert process.stdout
    first = next(match[1] for match in map(TRAINED.match, process.stdout) if match is not None)
    cluster.kill(process)

    output = repro(small_head, "train")
    assert f"{first}: restored on" in output
    assert list_trained(output) == {"train@simple_nn2", "train@conv_nn2"} - {first}
    assert not list_started_here(output)


def test_workers_get_a_training_that_changed(cluster: Cluster, small_head: Clone) -> None:
    """A dry run of DVC would call it cached, by the last run on this machine."""
    small_head.repro("train@simple_nn2")
    small_head.change_params({"models.simple_nn2.lr": 0.02})
    worker = cluster.add_worker("only")
    output = repro(small_head, "evaluate@simple_nn2")
    assert list_trained(output) == {"train@simple_nn2"}
    table = read_table(output)
    assert table["train@simple_nn2"] == worker
    assert table["evaluate@simple_nn2"] == "this"  # machine


def test_workers_do_not_get_what_the_head_has(cluster: Cluster, small_head: Clone) -> None:
    small_head.repro("train@simple_nn2")
    small_head.change_params({"models.simple_nn2.lr": 0.02})
    small_head.repro("train@simple_nn2")
    small_head.change_params({"models.simple_nn2.lr": 0.01})
    output = repro(small_head, "train@simple_nn2")  # There is no worker.
    assert read_table(output)["train@simple_nn2"] == "this"  # machine


def test_workers_of_a_repositorys_folder_reach_a_relative_remote(
    cluster: Cluster, scaled: Clone, tmp_path: Path
) -> None:
    head = scaled.copy(tmp_path / "repository/ml/mri")
    shutil.rmtree(head.folder / ".git")
    head.run("git", "init", "--quiet", str(tmp_path / "repository"))
    head.commit("all")
    add_remote(head, "../../../remote")  # relative to the project
    cluster.add_worker("only")
    assert list_trained(repro(head, "train@simple_nn2")) == {"train@simple_nn2"}


def test_workers_start_when_a_stage_waits(adaptive_address: str, small_head: Clone) -> None:
    assert list_trained(repro(small_head, "train@simple_nn2")) == {"train@simple_nn2"}


def test_workers_show_why_a_stage_failed(cluster: Cluster, small_head: Clone) -> None:
    """The head removes the later outs of the model, and goes on with the others."""
    cluster.add_worker("only")
    small_head.change_params({"models.simple_nn2.augment": {"shift": 99, "flip": True}})
    old_metrics = small_head.folder / "metrics/simple_nn2.json"
    old_metrics.parent.mkdir(exist_ok=True)
    old_metrics.write_text("{}")

    output = fail_repro(small_head, "evaluate@simple_nn2", "train@conv_nn2")
    assert re.search(r"^train@simple_nn2: error: params.yaml: augment.shift", output, re.MULTILINE)
    (reason,) = re.findall(r"^train@simple_nn2 +failed +(.*)", output, re.MULTILINE)
    assert reason.startswith("params.yaml: augment.shift")
    assert not old_metrics.exists()
    assert (small_head.folder / "models/conv_nn2.safetensors").exists()


def test_workers_need_a_scheduler(small_head: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    assert "DASK_SCHEDULER_ADDRESS" in fail_repro(small_head, "train")


def test_workers_need_a_remote(cluster: Cluster, scaled: Clone, tmp_path: Path) -> None:
    assert "remote" in fail_repro(scaled.copy(tmp_path / "head"), "train")
