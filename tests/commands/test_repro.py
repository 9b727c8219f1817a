"""Small DVC projects of shell commands: which stages `mri-stages repro` runs, and how it ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import psutil
import pytest
import yaml
from tests.conftest import PARAMS, REPO

from mri_stages.commands.repro import processes_at_once, wanted_graph
from mri_stages.errors import InputError

# SIGINT is ignored in a background job, and would be in all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

DOT = """\
strict digraph {
"load";
"train@a";
"train@b";
"evaluate@a";
"studies/dvc.yaml:rate@10";
"load" -> "train@a";
"load" -> "train@b";
"load" -> "evaluate@a";
"train@a" -> "evaluate@a";
"load" -> "studies/dvc.yaml:rate@10";
}
"""
LOAD: dict[str, set[str]] = {"load": set()}
EVALUATE = LOAD | {"train@a": {"load"}, "evaluate@a": {"load", "train@a"}}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], EVALUATE | {"train@b": {"load"}}),
        (["train"], LOAD | {"train@a": {"load"}, "train@b": {"load"}}),
        (["evaluate", "train@b"], EVALUATE | {"train@b": {"load"}}),
        (["studies/dvc.yaml:rate"], LOAD | {"studies/dvc.yaml:rate@10": {"load"}}),
    ],
)
def test_wanted_graph_of_names(names: list[str], expected: dict[str, set[str]]) -> None:
    assert wanted_graph(DOT, names) == expected


@pytest.mark.parametrize("name", ["trai", "train@c", "rate", ""])
def test_wanted_graph_of_an_unknown_name(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: .*train.*studies/dvc.yaml:rate"):
        wanted_graph(DOT, ["load", name])


def test_processes_at_once_share_the_cores() -> None:
    cores = processes_at_once()
    assert cores == (len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count())
    for threads in (2, cores, cores + 1):  # of one model; the others have one
        arch = "arch: simple_nn2"
        Path("params.yaml").write_text(PARAMS.replace(arch, f"{arch}\n    threads: {threads}"))
        assert processes_at_once() == max(1, cores // threads)


DVC = (sys.executable, "-m", "dvc")
REPRO = (sys.executable, "-m", "mri_stages", "repro")


@pytest.fixture(autouse=True)
def in_workspace(workspace: Path) -> Iterator[None]:
    yield
    for process in psutil.Process().children():  # a failed test leaves them
        process.terminate()


def write(**stages: dict[str, Any]) -> None:
    """Make the workspace a DVC project of these stages."""
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    subprocess.run([*DVC, "init", "--quiet", "--no-scm"], check=True)


def start(*command: str) -> subprocess.Popen[str]:
    """Start a command as without an activated environment, stdout and stderr in one pipe."""
    env = {**os.environ, "PATH": os.defpath, "PYTHONPATH": f"{REPO}/src{os.pathsep}{REPO}"}
    return subprocess.Popen(command, text=True, stdout=PIPE, stderr=STDOUT, env=env)


def repro(*names: str, status: int = 0) -> list[str]:
    """Run src/mri_stages/commands/repro.py, which must end with that status; return its lines."""
    process = start(*REPRO, *names)
    output, _ = process.communicate()
    assert process.returncode == status, output
    assert "Traceback" not in output
    return output.splitlines()


def read_until(process: subprocess.Popen[str], start: str) -> str:
    """Return the next line of its output that begins so."""
    assert process.stdout
    return next(line for line in process.stdout if line.startswith(start))


def started(lines: list[str]) -> list[str]:
    return [line.partition(":")[0] for line in lines if line.endswith(": started")]


def shell(cmd: str, out: str, *deps: str) -> dict[str, Any]:
    return {"cmd": cmd, "outs": [out], "deps": list(deps)}


def test_repro_runs_what_changed_and_what_depends_on_it() -> None:
    write(
        other=shell("echo > other", "other"),
        last=shell("cat middle > last", "last", "middle"),
        middle=shell("cat first > middle", "middle", "first"),
        first=shell("cat source > first", "first", "source"),
    )
    Path("source").write_text("1")
    assert started(repro("last")) == ["first", "middle", "last"]
    assert not Path("other").exists()
    assert started(repro("last")) == []
    Path("source").write_text("2")
    assert sorted(started(repro("last", "other"))) == ["first", "last", "middle", "other"]
    assert Path("last").read_text() == "2"
    subprocess.run([*DVC, "status", "--quiet"], check=True)


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core: one stage at a time")
def test_repro_runs_several_stages_at_once() -> None:
    def wait_for(mine: str, other: str) -> dict[str, Any]:
        until = f"timeout 60 bash -c 'until test -e {other}; do :; done'"
        return {"cmd": f"echo > {mine} && {until}", "outs": [mine]}

    write(one=wait_for("1", "2"), two=wait_for("2", "1"))
    repro("one", "two")


def test_repro_of_one_at_a_time_starts_the_last_first() -> None:
    each = shell("echo ${item} > ${item}", "${item}")
    write(train={"foreach": ["fast", "slow", "slowest"], "do": each})
    Path("params.yaml").write_text(PARAMS.replace("threads: 1", "threads: 1024"))
    lines = [line.split(" in ")[0] for line in repro("train")]
    expected = ["train@slowest", "train@slow", "train@fast"]
    assert lines == [f"{name}: {what}" for name in expected for what in ("started", "done")]


def test_repro_prints_a_stages_lines_at_once_and_nothing_else() -> None:
    code = "import sys; print('epoch 1'); open('pipe').read(); print('a note', file=sys.stderr)"
    write(train=shell(f'python -c "{code}" && echo > x', "x"))
    os.mkfifo("pipe")
    process = start(*REPRO, "train")
    read_until(process, "train: epoch 1")  # while the stage goes on
    assert process.poll() is None
    Path("pipe").write_text("")
    rest, _ = process.communicate()
    assert process.returncode == 0
    note, end = rest.splitlines()
    assert note == "train: a note"
    assert end.startswith("train: done in ")


def test_repro_of_a_failing_stage_runs_all_that_does_not_depend_on_it() -> None:
    write(
        bad=shell("echo because >&2; exit 3", "bad"),
        after=shell("cat bad > after", "after", "bad"),
        good=shell("echo > good", "good"),
        best=shell("cat good > best", "best", "good"),
    )
    lines = repro("best", "after", status=1)
    assert sorted(started(lines)) == ["bad", "best", "good"]
    assert Path("best").exists()
    assert "bad: because" in lines
    assert any("ERROR" in line and "exited with 3" in line for line in lines)  # as DVC says it
    assert lines[-1].startswith("error: ")
    assert {"bad", "after", "good", "best"} & {*re.findall(r"\w+", lines[-1])} == {"bad", "after"}


def test_repro_waits_for_another_dvc() -> None:
    write(one=shell("echo ready && cat pipe > x", "x"))
    os.mkfifo("pipe")
    other = start(*DVC, "repro")
    read_until(other, "ready")
    process = start(*REPRO, "one")
    assert str(other.pid) in read_until(process, "one: waits for another DVC process")
    Path("pipe").write_text("content")
    rest, _ = process.communicate()
    other.communicate()
    assert (other.returncode, process.returncode) == (0, 0)
    assert "ready" not in rest  # the other one has run the stage
    assert Path("x").read_text() == "content"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_repro_on_a_signal_ends_all_that_it_started(signum: int) -> None:
    forever = shell("tail -f /dev/null & echo ready; wait", "${item}")
    after = shell("cat a b > c", "c", "a", "b")
    write(train={"foreach": ["a", "b"], "do": forever}, after=after)
    process = start(*REPRO, "after")
    read_until(process, "train@b: ready")
    assert len(running_here()) >= 4  # mri-stages repro, DVC, a shell and tail
    process.send_signal(signum)
    rest, _ = process.communicate()
    assert process.returncode == 128 + signum
    assert "Traceback" not in rest
    assert running_here() == []


def running_here() -> list[psutil.Process]:
    """Return the other processes that work in the workspace."""
    here = [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(Path.cwd())]
    return [process for process in here if process.pid != os.getpid()]
