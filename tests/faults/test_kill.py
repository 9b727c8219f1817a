"""After a kill at any moment outs are whole or absent, and `dvc repro` ends in the same bytes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.clones import OUT_FOLDERS, Clone, list_damaged_objects

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc"),
]

KILLED_STAGES = ("sample", "load", "train@simple_nn2", "cross_validate@simple_nn2", "compare")
MAX_RUNS = 20  # of a stage, until it is seen at a moment that may be short
MAX_WAIT_SECONDS = 0.001  # between two looks at the processes and files
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class Repro:
    """A running `dvc repro`, and the id of the stage's process that it started."""

    def __init__(self, clone: Clone, stage: str, *options: str) -> None:
        self.folder = clone.folder
        self.module = f"stages.{stage.partition('@')[0]}"
        self.former_partial_files = set(list_partial_files(clone.folder))  # of killed runs
        self.dvc = clone.start("dvc", "repro", *options, stage)
        self.stage_pid: int | None = None

    def has_stage(self) -> bool:
        """Return whether the stage's process is there: it imports, then it computes."""
        children = read_proc(f"/proc/{self.dvc.pid}/task/{self.dvc.pid}/children").split()
        for pid in children:
            if self.module in read_proc(f"/proc/{pid}/cmdline"):
                self.stage_pid = int(pid)
                return True
        return False

    def is_writing(self) -> bool:
        """Return whether the stage has made a file that is not whole yet."""
        return self.has_stage() and bool(self.list_new_partial_files())

    def list_new_partial_files(self) -> set[str]:
        """Return the names of half-written files that were not there at the start."""
        return set(list_partial_files(self.folder)) - self.former_partial_files

    def is_committing(self) -> bool:
        """Return whether the stage is done, and DVC hashes its outs and moves them to the cache."""
        return not self.has_stage() and self.stage_pid is not None and not is_alive(self.stage_pid)

    def kill(self, target: str, signum: int) -> None:
        """Send the signal to the "stage", to "dvc", or to "both", as Ctrl-C does."""
        if target == "both":
            os.killpg(self.dvc.pid, signum)
        elif target == "dvc":
            self.dvc.send_signal(signum)
        elif self.stage_pid is not None and is_alive(self.stage_pid):
            os.kill(self.stage_pid, signum)

    def wait_for(self, moment: Callable[["Repro"], bool]) -> bool:
        """Wait for the moment; return whether it came before the end."""
        while not has_ended(self.dvc):
            if moment(self):
                return True
        return False

    def wait_for_end(self) -> str:
        """Wait for the end of both processes; return what they printed."""
        output, _ = self.dvc.communicate()
        while self.stage_pid is not None and is_alive(self.stage_pid):
            pass
        return output


def has_ended(process: subprocess.Popen[str]) -> bool:
    """Return whether a process has ended, or ends soon; a busy loop would take its core."""
    try:
        process.wait(timeout=MAX_WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def read_proc(path: str) -> str:
    """Return a file of /proc; nothing if its process has ended."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid: int) -> bool:
    state = read_proc(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1]
    return state not in ([], ["Z"])


def list_partial_files(folder: Path) -> list[str]:
    """Return the names of half-written files and folders; other processes may rename them."""
    partial_files = []
    for top in OUT_FOLDERS:
        for _, folder_names, file_names in os.walk(folder / top):
            names = folder_names + file_names
            partial_files += [name for name in names if name.endswith(".partial")]
    return partial_files


def run_until(moment: Callable[[Repro], bool], clone: Clone, stage: str) -> Repro:
    """Return a run at that moment; rerun the stage if it was over before the moment was seen."""
    options: tuple[str, ...] = ()
    for _ in range(MAX_RUNS):
        run = Repro(clone, stage, *options)
        if run.wait_for(moment):
            return run
        output = run.wait_for_end()
        if run.dvc.returncode != 0:
            delete_file_cut_by_kill(clone, output)
        else:
            options = ("--force", "--single-item")
    raise AssertionError(f"{stage} was never seen at {moment.__name__}: {output}")


def delete_file_cut_by_kill(clone: Clone, output: str) -> None:
    """Do as docs/reliability.md says: DVC writes two small files of its own in place."""
    (name,) = (file for file in (".dvc/tmp/rwlock", "dvc.lock") if f"{file}'" in output)
    (clone.folder / name).unlink()


def repro_after_kills(clone: Clone) -> None:
    """Run the whole pipeline; where a kill cut a file of DVC's, remove that file first."""
    report = Repro(clone, "report")
    output = report.wait_for_end()
    if report.dvc.returncode != 0:
        delete_file_cut_by_kill(clone, output)
    clone.repro()


class Kill(NamedTuple):
    stage: str
    moment: Callable[[Repro], bool]
    target: str  # as in Repro.kill
    signum: signal.Signals


def list_kills() -> list[Kill]:
    """Return kills in which each stage meets each signal and each moment once."""
    targets = {Repro.has_stage: "dvc", Repro.is_writing: "stage", Repro.is_committing: "both"}
    moments = list(targets)
    kills = []
    for stage_index, stage in enumerate(KILLED_STAGES):
        for signal_index, signum in enumerate(SIGNALS):
            moment = moments[(stage_index + signal_index) % len(moments)]
            target = "both" if signum == signal.SIGINT else targets[moment]
            kills.append(Kill(stage, moment, target, signum))
    return kills


def test_repro_after_kills_ends_in_same_bytes(finished: Clone, new: Clone) -> None:
    outs = finished.read_outs()
    left_by_kills = set()

    for stage, moment, target, signum in list_kills():
        run = run_until(moment, new, stage)
        run.kill(target, signum)
        output = run.wait_for_end()

        # Ctrl-C among the imports shows Python's traceback.
        if moment is not Repro.has_stage:
            assert f'File "{new.folder}' not in output
        # Ctrl-C removes what is half-written; other signals leave it to the stage's next run,
        # which DVC spares where its run cache has the result.
        if signum == signal.SIGINT:
            assert run.list_new_partial_files() == set()
        left_by_kills |= run.list_new_partial_files()
        for name, content in new.read_outs().items():
            assert content == outs[name], f"{stage} {moment.__name__} {signum.name}: {name}"
        assert list_damaged_objects(new) == []

    repro_after_kills(new)
    assert new.read_outs() == outs
    assert set(list_partial_files(new.folder)) <= left_by_kills


def test_repro_beside_an_orphan_stage_ends_in_same_bytes(finished: Clone, new: Clone) -> None:
    run = Repro(new, "train@conv_nn2")
    assert run.wait_for(Repro.has_stage)
    run.kill("dvc", signal.SIGKILL)  # the stage goes on
    run.dvc.wait()

    new.repro("evaluate@conv_nn2")
    run.wait_for_end()
    outs = finished.read_outs()
    new_outs = new.read_outs()
    assert "metrics/conv_nn2.json" in new_outs
    assert {name: outs[name] for name in new_outs} == new_outs
    assert list_damaged_objects(new) == []
    assert new.repro("evaluate@conv_nn2") == []
