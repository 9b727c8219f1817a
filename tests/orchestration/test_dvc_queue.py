"""DVC's queue: what is set in an experiment, and one that is not ours."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mri_stages.config.loading import parse_yaml
from mri_stages.errors import InputError
from mri_stages.orchestration.dvc_queue import (
    State,
    find_cached_out,
    list_changed_files,
    queue_experiment,
    read_committed_params,
    read_queue,
    remove_experiments,
    stop_worker,
    write_overrides,
)
from tests.helpers.clones import GIT_AUTHOR

# DVC's own code uses it.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

VALUES = {"models": {"m": {"lr": 0.1, "augment": {"shift": 2, "flip": True}}}}


@pytest.fixture
def repository(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository of Git with one commit, of a params.yaml of VALUES and a stage."""
    for name, value in GIT_AUTHOR.items():
        monkeypatch.setenv(name, value)
    Path("params.yaml").write_text(yaml.safe_dump(VALUES))
    stage = {"cmd": "echo > out", "params": ["models"], "outs": ["out"]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    Path(".gitignore").write_text("/out\n")
    subprocess.run(["git", "init", "--quiet"], check=True)
    commit_all()
    return workspace


def commit_all() -> None:
    subprocess.run(["git", "add", "--all"], check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", "x"], check=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr", 1e-8),
        ("lr", 3),
        ("weight_decay", 0.5),  # the model lacks it
        ("shuffle", True),
        ("patience", None),
        ("schedule", "cosine, 'or' not: {a}"),
        ("augment", {"shift": 4}),  # and no flip
        ("augment", None),
        ("freeze", ["body", "head"]),
    ],
)
def test_overrides_set_the_value_and_nothing_else(workspace: Path, key: str, value: Any) -> None:
    from dvc.utils.hydra import apply_overrides

    Path("p.yaml").write_text(yaml.safe_dump(VALUES))
    apply_overrides("p.yaml", list(write_overrides({f"models.m.{key}": value}, VALUES)))
    expected = {**VALUES["models"]["m"], key: value}
    assert parse_yaml(Path("p.yaml").read_text()) == {"models": {"m": expected}}


def test_queue_stashes_the_params_and_refuses_a_stranger(repository: Path) -> None:
    # What `dvc init` makes, in less time.
    Path(".dvc").mkdir()
    Path(".dvc/config").touch()
    Path(".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    commit_all()
    first = asyncio.run(queue_experiment("train", {"models.m.lr": 0.2}, VALUES, []))
    assert read_committed_params(first.revision)["models"]["m"]["lr"] == 0.2
    assert list_changed_files() == []

    with pytest.raises(InputError):
        asyncio.run(queue_experiment("train", {"models.m.lr": 0.3}, VALUES, []))
    assert asyncio.run(read_queue([first.revision])).states == {first.revision: State.QUEUED}
    asyncio.run(remove_experiments([first.revision]))
    assert asyncio.run(read_queue([first.revision])).states == {}


def test_cached_out_of_a_run_with_another_key(repository: Path) -> None:
    """InputError also where params.yaml lacks a key that the experiment ran with."""
    Path(".dvc").mkdir()
    Path(".dvc/config").touch()
    entry = {"cmd": "x", "params": {"params.yaml": {"models.m.momentum.low": 0.5}}, "outs": []}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"train": entry}}))
    commit_all()
    with pytest.raises(InputError, match=r"another models\.m\.momentum\.low"):
        asyncio.run(find_cached_out("HEAD", "train", Path("out"), VALUES))


def test_cached_out_is_that_of_the_path(repository: Path) -> None:
    Path(".dvc").mkdir()
    Path(".dvc/config").touch()
    outs = [{"path": path, "md5": digit * 32} for path, digit in (("a", "1"), ("b", "2"))]
    entry = {"cmd": "x", "outs": outs}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"train": entry}}))
    commit_all()
    file = asyncio.run(find_cached_out("HEAD", "train", Path("b"), VALUES))
    assert file.parent.name + file.name == "2" * 32
    with pytest.raises(InputError, match="no out c"):
        asyncio.run(find_cached_out("HEAD", "train", Path("c"), VALUES))


def leave_copy(revision: str, copy: Path) -> Path:
    """Make a copy of the project as DVC does, with the file that names it; return the copy."""
    copy.mkdir(parents=True, exist_ok=True)
    (copy / "params.yaml").touch()
    info = {"git_url": "", "baseline_rev": "", "location": "", "dvc_dir": ".dvc"}
    info_file = Path(".dvc/tmp/exps/run", revision, f"{revision}.run")
    info_file.parent.mkdir(parents=True)
    info_file.write_text(json.dumps(info | {"root_dir": str(copy)}))
    return copy


def test_stop_worker_removes_the_copies_of_dead_workers(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".dvc").mkdir()
    Path(".dvc/config").touch()
    exps = repository / ".dvc/tmp/exps"
    stale_copy = leave_copy("a" * 40, exps / "tmp1")
    used_copy = leave_copy("b" * 40, exps / "tmp2")
    other_copy = leave_copy("c" * 40, exps / "standalone/tmp3")
    leave_copy("workspace", repository)
    (exps / "run/cut").mkdir()
    (exps / "run/cut/cut.run").write_text("{")
    waiting = [sys.executable, "-c", "input()"]
    with subprocess.Popen(waiting, cwd=used_copy, stdin=subprocess.PIPE) as process:
        asyncio.run(stop_worker())
        assert process.stdin is not None
        process.stdin.write(b"\n")
    assert not stale_copy.exists()
    assert used_copy.exists()
    assert other_copy.exists()
    assert Path("params.yaml").exists()
    assert "1 copy" in capsys.readouterr().err


def test_stop_worker_removes_what_was_sent_to_a_dead_worker(repository: Path) -> None:
    """Else the next worker, which has the same mailbox, ends after its first experiment."""
    from dvc.repo import Repo

    Path(".dvc").mkdir()
    Path(".dvc/config").touch()
    with Repo() as repo:
        celery = repo.experiments.celery_queue.celery
    with celery.connection_for_write() as connection:
        mailbox = celery.control.mailbox.get_queue("dvc-exp-1a2b3c-1@localhost")
        mailbox = mailbox.bind(connection.default_channel)
        mailbox.declare()
        celery.control.shutdown()  # by `dvc queue stop`
        assert mailbox.queue_declare(passive=True).message_count == 1

        asyncio.run(stop_worker())
        assert mailbox.queue_declare(passive=True).message_count == 0


def test_changed_files_are_those_that_git_lacks(repository: Path) -> None:
    assert list_changed_files() == []
    Path("new").write_text("x")
    Path("params.yaml").write_text("x: 1")
    assert sorted(list_changed_files()) == ["new", "params.yaml"]
