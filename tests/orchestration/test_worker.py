"""What a worker looks for before it runs a stage, and what it tells meanwhile."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed import Client, Worker

from mri_stages.orchestration import worker
from mri_stages.orchestration.bundle import pack_workspace
from mri_stages.orchestration.worker import (
    MAX_INLINE_BYTES,
    LineReporter,
    NoWeightsError,
    call,
    check_weights,
    check_worker,
    read_small_outs,
    run_stage_on_worker,
)
from tests.helpers.schedulers import start_scheduler

DATA = b"weights"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty store for weights."""
    folder = tmp_path / "store"
    folder.mkdir()
    monkeypatch.setenv("MRI_STAGES_WEIGHTS", str(folder))
    return folder


async def call_on_worker(n_threads: int, function: Callable[..., Any], *arguments: object) -> Any:
    """Return what a function gives on a worker in this process."""
    async with (
        start_scheduler() as scheduler,
        Worker(scheduler.address, nthreads=n_threads, dashboard=False),
        Client(asynchronous=True) as client,
    ):
        return await client.submit(function, *arguments)


def test_check_worker_takes_one_thread_and_the_same_torch() -> None:
    asyncio.run(call_on_worker(1, check_worker, version("torch")))


@pytest.mark.parametrize(
    ("n_threads", "torch_version", "text"),
    [(2, version("torch"), "--nthreads 1"), (1, "0.1", "expected 0.1")],
)
def test_worker_refuses_all_stages_that_would_differ(
    n_threads: int, torch_version: str, text: str
) -> None:
    job = {"torch_version": torch_version}
    answer = asyncio.run(call_on_worker(n_threads, run_stage_on_worker, "train@a", job))
    assert (answer["status"], answer["is_for_stage"]) == ("refused", False)
    assert text in answer["problem"]
    assert 0 <= answer["seconds"] < 600


def test_check_weights_finds_the_file_of_the_clone(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(DATA)
    check_weights(tmp_path, "w.pt", SHA256)


def test_check_weights_finds_the_file_of_the_store(tmp_path: Path, store: Path) -> None:
    (store / SHA256).write_bytes(DATA)
    check_weights(tmp_path, "w.pt", SHA256)


@pytest.mark.parametrize(
    ("variable", "usual_store"),
    [("XDG_CACHE_HOME", "mri-stages/weights"), ("HOME", ".cache/mri-stages/weights")],
)
def test_check_weights_finds_the_file_of_the_usual_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, usual_store: str
) -> None:
    monkeypatch.delenv("MRI_STAGES_WEIGHTS")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    (tmp_path / usual_store).mkdir(parents=True)
    (tmp_path / usual_store / SHA256).write_bytes(DATA)
    check_weights(tmp_path / "clone", "w.pt", SHA256)


def test_check_weights_refuses_other_bytes_and_names_the_hash(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"others")
    with pytest.raises(NoWeightsError, match=SHA256):
        check_weights(tmp_path, "w.pt", SHA256)


def test_worker_refuses_only_the_stage_whose_weights_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / ".dvc").mkdir(parents=True)
    (project / ".dvc/config").touch()
    monkeypatch.chdir(project)
    subprocess.run(["git", "init", "--quiet"], check=True)
    job = {
        "torch_version": version("torch"),
        "bundle": pack_workspace().bundle,
        "inputs": [],
        "remotes": {},
        "weights": {"train@a": {"file": "w.pt", "sha256": SHA256}},
    }
    answer = asyncio.run(call_on_worker(1, run_stage_on_worker, "train@a", job))
    assert (answer["status"], answer["is_for_stage"]) == ("refused", True), answer
    assert SHA256 in answer["problem"]


@pytest.mark.parametrize(
    ("stage", "lock", "name"),
    [
        ("train@a", "dvc.lock", "train@a"),
        ("studies/dvc.yaml:rate@1", "studies/dvc.lock", "rate@1"),
    ],
)
def test_small_outs_are_files_below_the_limit(
    tmp_path: Path, stage: str, lock: str, name: str
) -> None:
    outs = [
        {"path": "small", "md5": "1", "size": MAX_INLINE_BYTES - 1},
        {"path": "large", "md5": "2", "size": MAX_INLINE_BYTES},
        {"path": "folder", "md5": "3.dir", "size": 1},
    ]
    (tmp_path / lock).parent.mkdir(exist_ok=True)
    (tmp_path / lock).write_text(yaml.safe_dump({"stages": {name: {"outs": outs}}}))
    (tmp_path / "small").write_bytes(DATA)
    assert read_small_outs(tmp_path, stage) == {"1": DATA}


def test_line_reporter_sends_each_whole_line_once(tmp_path: Path) -> None:
    sent: list[list[str]] = []
    path = tmp_path / "live.jsonl"
    reporter = LineReporter(path, sent.append)
    reporter.send_new_lines()
    for text in ("a\nb\nhal", "", "f\n"):
        with path.open("a") as file:
            file.write(text)
        reporter.send_new_lines()
    path.unlink()
    reporter.send_new_lines()
    assert sent == [["a", "b"], ["half"]]


def test_line_reporter_sends_no_line_of_a_killed_stage(tmp_path: Path) -> None:
    sent: list[list[str]] = []
    path = tmp_path / "live.jsonl"
    path.write_text("old\n")
    LineReporter(path, sent.append).send_new_lines()
    assert sent == []


def test_call_polls_while_a_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ends after a poll, and keeps what it printed before."""
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = f"print(1, flush=True); print(open({str(pipe)!r}).read())"

    def poll() -> None:
        if pipe.exists():
            pipe.write_text("2")
            pipe.unlink()

    assert call(tmp_path, sys.executable, "-c", code, poll=poll) == (True, "1\n2\n")


def test_call_of_a_missing_program_does_not_succeed(tmp_path: Path) -> None:
    succeeded, output = call(tmp_path, "no-such-program")
    assert not succeeded
    assert "no-such-program" in output
