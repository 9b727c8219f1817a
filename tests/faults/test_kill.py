"""Whatever is killed, and when: no out is half there, and `dvc repro` ends as if undisturbed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.conftest import RunStage
from tests.faults.conftest import damaged_objects, outs, two_models
from tests.pipeline.conftest import Clone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc"),
]

STAGES = [
    *("sample", "load", "baselines", "scale", "train@simple_nn2", "evaluate@simple_nn2"),
    *("compare", "report"),
]


class Repro:
    """A running `dvc repro`, and in `stage` the id of the process of ours that it started."""

    def __init__(self, clone: Clone, stage: str, *options: str) -> None:
        self.folder = clone.folder
        self.module = f"stages.{stage.partition('@')[0]}"
        self.dvc = clone.start("dvc", "repro", *options, stage)
        self.stage: int | None = None

    def starts(self) -> bool:
        """The stage's process is there: it imports, then it computes."""
        children = read(f"/proc/{self.dvc.pid}/task/{self.dvc.pid}/children").split()
        ours = [int(pid) for pid in children if self.module in read(f"/proc/{pid}/cmdline")]
        self.stage = ours[0] if ours else self.stage
        return bool(ours)

    def writes(self) -> bool:
        """The stage has a file open that is not whole yet."""
        return self.starts() and bool(partials(self.folder))

    def commits(self) -> bool:
        """The stage is done, and DVC hashes its outs and moves them to the cache."""
        return not self.starts() and self.stage is not None and not alive(self.stage)

    def reaches(self, moment: Callable[["Repro"], bool]) -> bool:
        """Wait for the moment; whether it came before the end."""
        while self.dvc.poll() is None:
            if moment(self):
                return True
        return False

    def end(self) -> str:
        """Wait for the end of both processes; what they said."""
        said, _ = self.dvc.communicate()
        while self.stage is not None and alive(self.stage):
            pass
        return said


def read(path: str) -> str:
    """A file of /proc; of a process that has ended, nothing."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] not in ([], ["Z"])


def partials(folder: Path) -> list[str]:
    return [
        name
        for top in ("data", "models", "metrics", "plots")
        for _, folders, files in os.walk(folder / top)
        for name in folders + files
        if name.endswith(".partial")
    ]


def both(run: Repro, signum: int) -> None:
    os.killpg(run.dvc.pid, signum)  # what Ctrl-C does


def dvc_alone(run: Repro, signum: int) -> None:
    run.dvc.send_signal(signum)


def stage_alone(run: Repro, signum: int) -> None:
    assert run.stage is not None
    if alive(run.stage):
        os.kill(run.stage, signum)


def run_at(moment: Callable[[Repro], bool], clone: Clone, stage: str) -> Repro:
    """A run at that moment; where it was over before it was seen, the stage is forced to rerun."""
    options: tuple[str, ...] = ()
    for _ in range(20):
        run = Repro(clone, stage, *options)
        if run.reaches(moment):
            return run
        said = run.end()
        if run.dvc.returncode:
            delete_what_dvc_cut(clone, said)
        else:
            options = ("--force", "--single-item")
    raise AssertionError(f"{stage} was never seen at {moment.__name__}: {said}")


def is_traceback_of_ours(said: str, clone: Clone) -> bool:
    """Whether one of our files is in it: Python itself, hit while it starts, may show one too."""
    return f'File "{clone.folder}' in said


def delete_what_dvc_cut(clone: Clone, said: str) -> None:
    """What docs/reliability.md tells to do: DVC writes two small files of its own in place."""
    (cut,) = (file for file in (".dvc/tmp/rwlock", "dvc.lock") if f"{file}'" in said)
    print(f"{cut} was cut")
    (clone.folder / cut).unlink()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_killed_in_every_stage_ends_in_the_same_bytes(
    repo: Path, finished: Clone, tmp_path: Path, signum: signal.Signals
) -> None:
    expected = outs(finished)
    clone = two_models(repo, tmp_path / "clone")
    alone = signum != signal.SIGINT
    faults = [
        (Repro.starts, dvc_alone if alone else both),
        (Repro.writes, stage_alone if alone else both),
        (Repro.commits, both),
    ]
    half_written = 0
    for stage in STAGES:
        for moment, kill in faults:
            run = run_at(moment, clone, stage)
            kill(run, signum)
            said = run.end()
            assert not is_traceback_of_ours(said, clone)
            half_written += bool(partials(clone.folder))
            for name, content in outs(clone).items():
                assert content == expected[name], f"{stage} {moment.__name__}: {name}"
            assert damaged_objects(clone) == []
    last = Repro(clone, "report")
    said = last.end()
    if last.dvc.returncode:
        delete_what_dvc_cut(clone, said)
        clone.repro()
    assert outs(clone) == expected
    assert partials(clone.folder) == []
    assert clone.repro() == []
    # Ctrl-C removes what is half-written, the others cannot: else this would not test what it says.
    assert (half_written == 0) == (signum == signal.SIGINT)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_dvc_lock_cut_by_a_kill_is_deleted_and_nothing_is_computed_again(
    finished: Clone, clone: Clone, signum: signal.Signals
) -> None:
    lock = clone.folder / "dvc.lock"
    whole = lock.stat().st_size
    for _ in range(20):  # DVC writes it in place: a moment that can be over before it is seen
        run = Repro(clone, "evaluate@simple_nn2", "--force", "--single-item")
        if run.reaches(lambda _: lock.stat().st_size < whole):
            both(run, signum)
        run.end()
        if lock.stat().st_size < whole:
            break
    with pytest.raises(AssertionError, match=r"dvc\.lock' validation failed"):
        clone.repro()
    lock.unlink()
    assert clone.repro() == []  # all of it from the run cache
    assert outs(clone) == outs(finished)
    committed = clone.run("git", "show", "HEAD:dvc.lock")
    assert YAML(typ="safe").load(lock) == YAML(typ="safe").load(committed)  # in another order


@pytest.mark.parametrize("stage", ["load", "train@conv_nn2"])
def test_a_stage_that_outlives_its_dvc_runs_beside_the_next_and_does_no_harm(
    repo: Path, finished: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")  # dash starts a child, which does not end with DVC
    clone = two_models(repo, tmp_path / "clone")
    run = Repro(clone, stage)
    assert run.reaches(Repro.starts)
    dvc_alone(run, signal.SIGKILL)
    run.dvc.wait()
    clone.repro()
    run.end()
    assert outs(clone) == outs(finished)
    assert damaged_objects(clone) == []
    assert clone.repro() == []


def test_ctrl_c_ends_train_all_and_all_that_it_started(finished: Clone, clone: Clone) -> None:
    clone.edit("params.yaml", "epochs: 1", "epochs: 200")
    training = clone.start("python", "train_all.py")
    while not list(clone.folder.glob("models/*.checkpoint")):
        assert training.poll() is None
    os.killpg(training.pid, signal.SIGINT)
    said, _ = training.communicate()  # all that holds the pipe has ended
    assert training.returncode == 130
    assert "Traceback" not in said
    assert said.endswith("error: stopped by Ctrl-C\n")
    clone.edit("params.yaml", "epochs: 200", "epochs: 1")
    clone.repro()
    assert outs(clone) == outs(finished)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_images_killed_while_it_writes_leaves_no_raw_folder(
    workspace: Path, repo: Path, run_stage: RunStage, signum: signal.Signals
) -> None:
    for i, split in enumerate(("train", "test")):
        for name in ("a", "b"):
            for k in range(100):
                path = workspace / f"set/{split}/{name}/{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (64, 64), i + k).save(path)

    process = subprocess.Popen(
        [sys.executable, "-m", "stages.images", "set"],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(repo)},
        stderr=subprocess.PIPE,
    )
    while not list(workspace.glob("data/raw.*.partial/train_data.pixels")):
        assert process.poll() is None
    process.send_signal(signum)
    said = process.communicate()[1]
    assert not (workspace / "data/raw").exists()
    if signum == signal.SIGINT:
        assert (process.returncode, said) == (130, b"error: stopped by Ctrl-C\n")
        assert list((workspace / "data").iterdir()) == []
    else:
        assert process.returncode == -signum
    for out in ("data/raw", "data/undisturbed"):
        run_stage("images", "set", "--out", out)
    for path in (workspace / "data/undisturbed").iterdir():
        assert path.read_bytes() == (workspace / "data/raw" / path.name).read_bytes()
    assert not list((workspace / "data").glob("*.partial"))
