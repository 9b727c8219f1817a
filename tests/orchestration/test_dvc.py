"""DVC's words, and what its own code tells of real small projects."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from mri_stages.errors import InputError
from mri_stages.orchestration.dvc import (
    LOCK_FILE,
    DvcError,
    DvcOutput,
    find_reason,
    find_run_cache_hits,
    find_stage_error,
    list_changed_stages,
    list_executed_stages,
    read_relative_remotes,
    read_stage_graph,
    remove_lock_entries,
    reports_no_memory,
    reports_stop,
    run_dvc,
)
from tests.helpers.dvc_projects import DVC, shell_stage, write_project
from tests.helpers.locked_projects import DAMAGED_LOCKS

# DVC's own code uses it.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")


def call_dvc(*arguments: str) -> None:
    subprocess.run([*DVC, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("status", ["-9", "137", "75"])
def test_reports_no_memory_by_status(status: str) -> None:
    assert reports_no_memory(f"ERROR: failed to run: python -m x, exited with {status}")


@pytest.mark.parametrize("status", ["1", "-15", "7", "755", "139"])
def test_reports_no_memory_not_by_other_statuses(status: str) -> None:
    assert not reports_no_memory(f"ERROR: failed to run: python -m x, exited with {status}")


def test_find_reason_without_link() -> None:
    output = """\
Collecting
ERROR: failed to pull data from the cloud - Checkout failed for following targets:
data/flat
Is your cache up to date?
<https://error.dvc.org/missing-files>
"""
    reason = find_reason(output)
    assert reason.startswith("ERROR: failed to pull data")
    assert reason.endswith("data/flat Is your cache up to date?")


def test_find_reason_without_error() -> None:
    assert find_reason("first\nfatal: last\n\n") == "fatal: last"


def test_find_reason_of_nothing() -> None:
    assert find_reason("") == "no output"


def test_find_stage_error_is_the_stages_own() -> None:
    output = "note\nerror: wrong key\nERROR: failed to run: python -m x, exited with 1\n"
    assert find_stage_error(output) == "wrong key"


def test_find_stage_error_of_a_traceback() -> None:
    output = "> python -m x\n  line 7\nKeyError: 3\nERROR: failed to run: x, exited with 1\n"
    assert find_stage_error(output) == "KeyError: 3; exited with 1"


def test_find_stage_error_of_a_silent_stage() -> None:
    assert find_stage_error("ERROR: failed to run: x, exited with -9\n") == "exited with -9"


def test_find_stage_error_of_dvc() -> None:
    assert find_stage_error("ERROR: missing data 'source': a") == "missing data 'source': a"


@pytest.mark.parametrize(("status", "is_stop"), [("-15", True), ("130", True), ("1", False)])
def test_reports_stop_by_status(status: str, is_stop: bool) -> None:
    assert reports_stop(f"ERROR: failed to run: python -m x, exited with {status}") is is_stop


def test_list_executed_stages_not_restored_ones() -> None:
    output = "Running stage 'a@1':\n> echo\nStage 'b' is cached - skipping run\n"
    assert list_executed_stages(output) == {"a@1"}


def test_output_keeps_executed_stages_and_no_chatter() -> None:
    output = DvcOutput()
    assert not output.add("Running stage 'train@a':")
    assert output.add("epoch 1")
    assert output.lines == ["epoch 1"]
    assert output.executed_stages == {"train@a"}


def test_output_keeps_the_lines_on_a_lock_apart() -> None:
    output = DvcOutput()
    assert not output.add("ERROR: 'x' is busy, it is being blocked by:")
    assert not output.add("  (PID 17): dvc repro")
    assert output.lines == []
    assert len(output.lock_lines) == 2


def test_run_dvc_names_a_failure(workspace: Path) -> None:
    write_project(one=shell_stage("exit 3", "x"))
    with pytest.raises(DvcError, match="exited with 3"):
        asyncio.run(run_dvc("repro"))


def test_stage_graph_of_a_project(workspace: Path) -> None:
    train = shell_stage("cat x > ${item}", "${item}", "x") | {
        "meta": {"remote": True, "model": "${item}"}
    }
    write_project(
        load=shell_stage("echo > x", "x"),
        train={"foreach": ["a", "b"], "do": train},
        other=shell_stage("cat a > c", "c", "a") | {"meta": {"remote": "no", "partial": True}},
    )
    graph = asyncio.run(read_stage_graph())
    assert dict(graph.deps) == {
        "load": set(),
        "train@a": {"load"},
        "train@b": {"load"},
        "other": {"train@a"},
    }
    assert list(graph.deps) == ["load", "train@a", "train@b", "other"]
    assert graph.remote == {"train@a", "train@b"}
    assert graph.models == {"train@a": "a", "train@b": "b"}
    assert graph.partial == {"other"}
    assert graph.outs["train@b"] == [workspace / "b"]


def test_stage_graph_of_a_faulty_file_names_the_key(workspace: Path) -> None:
    call_dvc("init", "--no-scm", "--quiet")
    Path("dvc.yaml").write_text("stages:\n  one:\n    cmd: echo\n    depps: []\n")
    with pytest.raises(InputError, match="depps"):
        asyncio.run(read_stage_graph())


@pytest.mark.parametrize("damage", ["list", "merge", "no text"])
def test_stage_graph_with_a_damaged_lock_names_it_and_the_fix(workspace: Path, damage: str) -> None:
    write_project(one=shell_stage("echo > x", "x"))
    LOCK_FILE.write_bytes(DAMAGED_LOCKS[damage])
    with pytest.raises(InputError, match=r"git checkout HEAD dvc\.lock") as caught:
        asyncio.run(read_stage_graph())
    assert "\n" not in str(caught.value)


def test_question_on_a_stage_that_is_missing_names_it(workspace: Path) -> None:
    """DVC itself finds no fault in the project."""
    write_project(one=shell_stage("echo", "x"))
    with pytest.raises(InputError, match="nonsense"):
        asyncio.run(remove_lock_entries(["nonsense"]))


def test_run_cache_hits_are_true(workspace: Path) -> None:
    """A dry run of DVC calls the second change cached too, by the deps of the last run."""
    write_project(one=shell_stage("cat a > x", "x", "a"))
    for content in ("first", "second"):
        Path("a").write_text(content)
        call_dvc("repro")

    Path("a").write_text("new")
    assert asyncio.run(list_changed_stages(["one"])) == {"one"}
    assert asyncio.run(find_run_cache_hits(["one"])) == set()
    Path("a").write_text("first")
    assert asyncio.run(find_run_cache_hits(["one"])) == {"one"}


def test_run_cache_without_outs_is_no_hit(workspace: Path) -> None:
    write_project(one=shell_stage("cat a > x", "x", "a"))
    Path("a").write_text("content")
    call_dvc("repro")
    for path in Path(".dvc/cache/files").rglob("*"):
        if path.is_file():
            path.unlink()
    Path("x").unlink()
    assert asyncio.run(find_run_cache_hits(["one"])) == set()


def test_run_cache_has_no_stage_without_deps(workspace: Path) -> None:
    """Nor where its outs are in the cache: DVC runs it."""
    write_project(one=shell_stage("echo > x", "x"))
    assert asyncio.run(find_run_cache_hits(["one"])) == set()
    call_dvc("repro")
    Path("x").unlink()
    assert asyncio.run(find_run_cache_hits(["one"])) == set()


def test_run_cache_has_no_stage_that_was_removed(workspace: Path) -> None:
    write_project(one=shell_stage("cat a > x", "x", "a"))
    Path("a").write_text("content")
    call_dvc("repro")
    assert asyncio.run(find_run_cache_hits(["one", "removed"])) == {"one"}


def test_changed_stages_are_of_those_asked_for(workspace: Path) -> None:
    write_project(one=shell_stage("echo > x", "x"), two=shell_stage("echo > y", "y"))
    assert asyncio.run(list_changed_stages(["one"])) == {"one"}
    assert asyncio.run(list_changed_stages(["one", "two"])) == {"one", "two"}
    call_dvc("repro", "two")
    assert asyncio.run(list_changed_stages(["one", "two"])) == {"one"}
    assert asyncio.run(list_changed_stages([])) == set()


def test_changed_stages_of_other_files(workspace: Path) -> None:
    Path("raw").write_text("content")
    write_project(one=shell_stage("cat raw > x", "x", "raw"))
    call_dvc("add", "raw")
    Path("raw").write_text("other content")
    assert asyncio.run(list_changed_stages(["one", "raw.dvc"])) == {"one", "raw.dvc"}


def test_relative_remotes_become_absolute(workspace: Path) -> None:
    write_project()
    call_dvc("remote", "add", "near", "../remote")
    call_dvc("remote", "add", "far", "s3://bucket/folder")
    call_dvc("remote", "add", "fixed", "/srv/remote")
    remotes = asyncio.run(read_relative_remotes())
    assert remotes == {"near": str(workspace.parent / "remote")}
