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
# Both print a line when they have started, and more where they live until their input ends.
# Of the three processes each starts the next one.
THREE_PROCESSES = """
import subprocess, sys
if len(sys.argv) < 3:
    subprocess.run([sys.executable, *sys.argv, "child"])
print(flush=True)
sys.stdin.read()
print("the input has ended")
"""
IGNORE_SIGTERM = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
sys.stdin.read()
print("the input has ended")
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


@pytest.mark.parametrize("code", [THREE_PROCESSES, IGNORE_SIGTERM])
def test_end_process_tree_leaves_no_process(tmp_path: Path, code: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin
        assert running.stdout
        running.stdout.readline()
        end_process_tree(psutil.Process(running.pid), seconds_to_end=0.5)
        running.stdin.close()
        assert running.stdout.read() == b""
