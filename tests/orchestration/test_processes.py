"""Processes that may have ended by themselves."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mri_stages.orchestration.processes import (
    end_process_tree,
    has_process_in,
    read_command,
    signal_process,
)

WAIT = "import sys; sys.stdin.read()"
# Each process starts the next one; the last prints their numbers and waits.
THREE_PROCESSES = """
import os, subprocess, sys
pids = [*sys.argv[1:], str(os.getpid())]
if len(pids) < 3:
    subprocess.run([sys.executable, __file__, *pids])
print(*pids, flush=True)
sys.stdin.read()
"""
IGNORE_SIGTERM = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
sys.stdin.read()
"""


def start_python(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)


@pytest.fixture
def ended_process() -> psutil.Process:
    with start_python("") as running:
        process = psutil.Process(running.pid)
    return process


def test_read_command_of_a_living_process() -> None:
    assert read_command(psutil.Process()) == psutil.Process().cmdline()


def test_read_command_of_an_ended_process(ended_process: psutil.Process) -> None:
    assert read_command(ended_process) == []


def test_has_process_in_a_folder_or_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a"
    (folder / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not has_process_in(folder)
    monkeypatch.chdir(folder / "b")
    assert has_process_in(folder)


def test_signal_process_that_has_ended(ended_process: psutil.Process) -> None:
    signal_process(ended_process.terminate)
    signal_process(ended_process.kill)


def test_end_process_tree_that_has_ended(ended_process: psutil.Process) -> None:
    end_process_tree(ended_process, seconds_to_end=10)


def test_end_process_tree_ends_a_process() -> None:
    with start_python(WAIT) as running:
        end_process_tree(psutil.Process(running.pid), seconds_to_end=10)
    assert not psutil.pid_exists(running.pid)


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended may wait for its parent to notice."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("code", [THREE_PROCESSES, IGNORE_SIGTERM])
def test_end_process_tree_leaves_no_process(tmp_path: Path, code: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout
        pids = [running.pid, *map(int, running.stdout.readline().split())]
        end_process_tree(psutil.Process(running.pid), seconds_to_end=0.5)
    assert running.returncode < 0  # by a signal, not by the end of its input
    assert not any(is_alive(pid) for pid in pids)
