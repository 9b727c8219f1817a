"""After a kill at any moment outs are whole or absent, and `dvc repro` ends in the same bytes."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.conftest import damaged_objects, two_models
from tests.pipeline.conftest import Clone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc"),
]


class Repro:
    """A running `dvc repro`, and in `stage` the id of the process of ours that it started."""

    def __init__(self, clone: Clone, stage: str, *options: str) -> None:
        self.folder = clone.folder
        self.module = f"stages.{stage.partition('@')[0]}"
        self.dvc = clone.start("dvc", "repro", *options, stage)
        self.stage: int | None = None

    def starts(self) -> bool:
        """Return whether the stage's process is there: it imports, then it computes."""
        children = read(f"/proc/{self.dvc.pid}/task/{self.dvc.pid}/children").split()
        ours = [int(pid) for pid in children if self.module in read(f"/proc/{pid}/cmdline")]
        self.stage = ours[0] if ours else self.stage
        return bool(ours)

    def writes(self) -> bool:
        """Return whether the stage has made a file that is not whole yet."""
        return self.starts() and bool(partials(self.folder))

    def commits(self) -> bool:
        """Return whether the stage is done, and DVC hashes its outs and moves them to the cache."""
        return not self.starts() and self.stage is not None and not alive(self.stage)

    def kill(self, who: str, signum: int) -> None:
        """Send the signal to the "stage", to "dvc", or to "both", as Ctrl-C does."""
        if who == "both":
            os.killpg(self.dvc.pid, signum)
        elif who == "dvc":
            self.dvc.send_signal(signum)
        elif self.stage is not None and alive(self.stage):
            os.kill(self.stage, signum)

    def reaches(self, moment: Callable[["Repro"], bool]) -> bool:
        """Wait for the moment; return whether it came before the end."""
        while not (reached := moment(self)) and self.dvc.poll() is None:
            pass
        return reached

    def end(self) -> str:
        """Wait for the end of both processes; return what they printed."""
        output, _ = self.dvc.communicate()
        while self.stage is not None and alive(self.stage):
            pass
        return output


def read(path: str) -> str:
    """Return a file of /proc; nothing if its process has ended."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] not in ([], ["Z"])


def partials(folder: Path) -> list[str]:
    tops = ("data", "models", "metrics", "plots")
    names = [n for top in tops for _, dirs, files in os.walk(folder / top) for n in dirs + files]
    return [name for name in names if name.endswith(".partial")]


def run_at(moment: Callable[[Repro], bool], clone: Clone, stage: str) -> Repro:
    """Return a run at that moment; rerun the stage if it was over before the moment was seen."""
    options: tuple[str, ...] = ()
    for _ in range(20):
        run = Repro(clone, stage, *options)
        if run.reaches(moment):
            return run
        output = run.end()
        if run.dvc.returncode:
            delete_what_dvc_cut(clone, output)
        else:
            options = ("--force", "--single-item")
    raise AssertionError(f"{stage} was never seen at {moment.__name__}: {output}")


def delete_what_dvc_cut(clone: Clone, output: str) -> None:
    """Do as docs/reliability.md says: DVC writes two small files of its own in place."""
    (cut,) = (file for file in (".dvc/tmp/rwlock", "dvc.lock") if f"{file}'" in output)
    (clone.folder / cut).unlink()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_repro_after_a_kill_in_each_kind_of_stage_ends_in_the_same_bytes(
    repo: Path, finished: Clone, tmp_path: Path, signum: signal.Signals
) -> None:
    expected = finished.outs()
    clone = two_models(repo, tmp_path / "clone")
    interrupt = signum == signal.SIGINT
    half_written = 0
    for stage in ("sample", "load", "train@simple_nn2", "cross_validate@simple_nn2", "compare"):
        for moment, who in (
            (Repro.starts, "both" if interrupt else "dvc"),
            (Repro.writes, "both" if interrupt else "stage"),
            (Repro.commits, "both"),
        ):
            run = run_at(moment, clone, stage)
            run.kill(who, signum)
            output = run.end()
            if moment is not Repro.starts:  # Ctrl-C among the imports shows Python's traceback
                assert f'File "{clone.folder}' not in output
            half_written += bool(partials(clone.folder))
            for name, content in clone.outs().items():
                assert content == expected[name], f"{stage} {moment.__name__}: {name}"
            assert damaged_objects(clone) == []
    last = Repro(clone, "report")
    output = last.end()
    if last.dvc.returncode:
        delete_what_dvc_cut(clone, output)
    clone.repro()
    assert clone.outs() == expected
    assert partials(clone.folder) == []
    if interrupt:  # it removes what is half-written, which other signals leave to the next run
        assert half_written == 0


def test_repro_beside_a_stage_that_outlived_its_dvc_ends_in_the_same_bytes(
    repo: Path, finished: Clone, tmp_path: Path
) -> None:
    clone = two_models(repo, tmp_path / "clone")
    run = Repro(clone, "train@conv_nn2")
    assert run.reaches(Repro.starts)
    run.kill("dvc", signal.SIGKILL)
    run.dvc.wait()
    clone.repro()
    run.end()
    assert clone.outs() == finished.outs()
    assert damaged_objects(clone) == []
    assert clone.repro() == []
