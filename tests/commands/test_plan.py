"""What `mri-stages plan` prints."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mri_stages.commands import plan
from mri_stages.commands.plan import describe_plan, describe_sums
from mri_stages.errors import InputError
from mri_stages.orchestration.durations import Duration
from mri_stages.orchestration.dvc_changes import Change, ChangeKind
from mri_stages.orchestration.plan import PlannedStage
from tests.helpers.dvc_projects import DVC, run_repro, shell_stage, write_project

# DVC's own code uses it.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")

PLAN = {
    "load": PlannedStage([Change(ChangeKind.FILE, "data/raw", "differs")], [], is_restored=True),
    "train@a": PlannedStage([Change(ChangeKind.PARAM, "models.a.lr", "1 -> 2")], ["load"]),
    "compare": PlannedStage([], ["train@a"]),
}
DURATIONS = {"load": Duration(3, "head"), "train@a": Duration(61, "worker")}


def test_plan_has_a_line_for_each_stage_and_reason() -> None:
    lines = list(describe_plan(PLAN, DURATIONS))
    stage_lines = [line for line in lines if not line.startswith(" ")]
    assert stage_lines == [
        "load: restored, not run",
        "train@a: 61 s last time",
        "compare: no known time",
    ]
    assert "  param models.a.lr: 1 -> 2" in lines
    assert "  file data/raw: differs" in lines


def test_plan_says_which_stage_may_stay() -> None:
    lines = list(describe_plan(PLAN, DURATIONS))
    assert lines[-1].startswith("  because train@a runs first; may stay")
    assert lines[-3] == "  because load runs first"


def test_plan_lists_the_outs_of_one_fault_together() -> None:
    outs = [Change(ChangeKind.OUT, name, "missing") for name in "ab"]
    lines = list(describe_plan({"load": PlannedStage(outs, [])}, {}))
    assert lines[1:] == ["  out a, b: missing"]


def test_sums_name_each_machine_and_what_is_unknown() -> None:
    lines = list(describe_sums(PLAN, DURATIONS))
    assert [line for line in lines if "worker" in line and "61 s" in line]
    assert not [line for line in lines if "head" in line]
    assert lines[-1] == "no known time: compare"


@pytest.fixture
def loading(workspace: Path) -> Path:
    """Make a project that reads a raw folder; return the folder, which is not there."""
    write_project(load=shell_stage("echo > flat", "flat", "data/raw"))
    return workspace / "data/raw"


def test_plan_of_a_missing_raw_folder_says_what_repro_says(loading: Path) -> None:
    with pytest.raises(InputError, match=r"data\.raw") as caught:
        plan.main([])
    (line,) = run_repro(status=1)
    assert line == f"error: {caught.value}"


def test_plan_of_a_raw_folder_that_dvc_restores(
    loading: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loading.mkdir(parents=True)
    (loading / "train_data.pt").write_text("1")
    subprocess.run([*DVC, "add", "--quiet", "data/raw"], check=True)
    shutil.rmtree(loading)
    plan.main([])
    assert "load: " in capsys.readouterr().out
