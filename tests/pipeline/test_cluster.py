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
from tests.helpers.clones import RESULTS, STUDIES, Clone

from mri_stages.commands.repro import TRAINS

pytestmark = pytest.mark.slow
DASK = (sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1")
WORKER = (sys.executable, "-m", "distributed.cli.dask_worker")
TRAINED = re.compile(r"^(\S+): done on (tcp://\S+) in", re.MULTILINE)
SENT = ["report", "export", *(f"studies/dvc.yaml:{study}" for study in STUDIES)]


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
def head(studied: Clone, tmp_path: Path) -> Clone:
    """Return a new clone with an empty cache and a folder as DVC remote."""
    head = studied.git_clone(tmp_path / "head")
    head.run("dvc", "remote", "add", "--quiet", "--default", "cluster", str(tmp_path / "remote"))
    return head


def sent(head: Clone) -> set[str]:
    """Return all stages that train."""
    lock = {
        f"{prefix}{name}"
        for file, prefix in (("dvc.lock", ""), ("studies/dvc.lock", "studies/dvc.yaml:"))
        for name in yaml.safe_load((head.folder / file).read_text())["stages"]
    }
    return {name for name in lock if TRAINS.match(name)}


def test_repro_on_workers_gives_the_bytes_of_a_local_run(cluster: Cluster, head: Clone) -> None:
    """One worker is killed during its second stage; another one has the wrong options."""
    cluster.add_worker("first")
    cluster.add_worker("second")
    many = cluster.add_worker("third", "--nthreads", "2")
    expected = sent(head)
    shutil.rmtree(head.folder / "studies/runs")  # these lie in Git
    (head.folder / "studies/dvc.lock").unlink()
    process = head.start("python", "-m", "mri_stages", "repro", *SENT)
    assert process.stdout
    output = ""
    with process.stdout:
        for line in process.stdout:
            output += line
            if (found := TRAINED.match(line)) and len(TRAINED.findall(output)) == 1:
                cluster.kill(cluster.workers[found[2]])
    assert process.wait() == 0, output
    assert {name for name, _ in TRAINED.findall(output)} == expected
    assert not {*re.findall(r"^(\S+): started", output, re.MULTILINE)} & expected
    assert output.count(f"{many}: ") == 1  # refused, and named
    head.repro("studies/dvc.yaml")  # what is not sent
    assert head.run("git", "status", "--short", "--", *RESULTS, ":!studies/dvc.lock") == ""
    lock = yaml.safe_load(head.run("git", "show", "HEAD:studies/dvc.lock"))
    assert yaml.safe_load((head.folder / "studies/dvc.lock").read_text()) == lock
    assert head.repro() == []

    # The rule on pushes: the remote has all that a run in the run cache names.
    remote = head.folder.parent / "remote"
    for run in (path for path in (remote / "runs").rglob("*") if path.is_file()):
        made: dict[str, Any] = yaml.safe_load(run.read_text())
        if "stages.train " in made["cmd"] or "stages.cross_validate" in made["cmd"]:
            for out in made["outs"]:
                assert (remote / "files/md5" / out["md5"][:2] / out["md5"][2:]).exists(), out


def test_repro_on_workers_resumes_after_the_head_was_killed(cluster: Cluster, head: Clone) -> None:
    cluster.add_worker("only")
    process = head.start("python", "-m", "mri_stages", "repro", "train")
    assert process.stdout
    before = next(found[1] for line in process.stdout if (found := TRAINED.match(line)))
    cluster.kill(process)
    output = head.run("python", "-m", "mri_stages", "repro", "train")
    assert f"{before}: restored on" in output
    trained = {name for name, _ in TRAINED.findall(output)}
    assert before not in trained
    assert trained
    assert not {*re.findall(r"^(\S+): started", output, re.MULTILINE)} & {
        name for name in sent(head) if name.startswith("train@")
    }
    # What only the head's own run cache has is not sent.
    head.change_params({"train.epochs": 2})
    head.run("python", "-m", "mri_stages", "repro", "train@simple_nn2")
    head.change_params({"train.epochs": 1})
    assert "on tcp" not in head.run("python", "-m", "mri_stages", "repro", "train@simple_nn2")


def fails(head: Clone, *names: str) -> str:
    process = head.start("python", "-m", "mri_stages", "repro", *names)
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert "Traceback" not in output
    return output


def test_repro_on_workers_names_what_is_wrong(
    cluster: Cluster, head: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.add_worker("only")
    head.change_params({"models.simple_nn2.augment": {"shift": 99, "flip": True}})
    output = fails(head, "train@simple_nn2", "train@simple_nn1")
    assert re.search(r"^train@simple_nn2: error: params.yaml: augment.shift", output, re.MULTILINE)
    assert (head.folder / "models/simple_nn1.safetensors").exists()  # the others are there
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    assert "DASK_SCHEDULER_ADDRESS" in fails(head, "train@resnet")
    head.run("dvc", "remote", "remove", "cluster")
    assert "remote" in fails(head, "train@resnet")
