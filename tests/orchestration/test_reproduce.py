"""What is removed, and what goes on, where a stage of a model fails: in small DVC projects."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from mri_stages import paths
from mri_stages.orchestration.graph import StageGraph
from mri_stages.orchestration.local import LocalRunner, Slots
from mri_stages.orchestration.outcome import HERE, Outcome, Status, format_outdated_stages
from mri_stages.orchestration.reproduce import (
    find_obstacle,
    list_followers,
    list_weights,
    remove_former_export,
    run_locally,
    run_trainings,
)
from tests.helpers.dvc_projects import (
    DVC,
    REPRO,
    list_started,
    read_until,
    run_repro,
    shell_stage,
    start_command,
    write_project,
)
from tests.helpers.params import write_params
from tests.helpers.stages import copy_environment

GRAPH = StageGraph(
    deps={
        "load": frozenset(),
        "train@a": frozenset({"load"}),
        "train@b": frozenset({"load"}),
        "evaluate@a": frozenset({"load", "train@a"}),
        "compare": frozenset({"evaluate@a", "train@b"}),
        "export": frozenset({"evaluate@a", "train@b"}),
        "summary": frozenset({"evaluate@a"}),
    },
    models={"train@a": "a", "train@b": "b", "evaluate@a": "a", "export": "a"},
    partial=frozenset({"compare", "export"}),
)


def find_status(stage: str, **statuses: Status) -> Status | None:
    """Return the status of the obstacle of a stage; the deps that are not named are up to date."""
    outcomes = {dep: Outcome(Status.UP_TO_DATE) for dep in GRAPH.deps[stage]}
    outcomes |= {name.replace("_", "@"): Outcome(status) for name, status in statuses.items()}
    obstacle = find_obstacle(GRAPH, stage, outcomes)
    return None if obstacle is None else obstacle.status


@pytest.mark.parametrize("status", [Status.FAILED, Status.NO_MEMORY])
def test_obstacle_of_a_later_stage_of_the_model(status: Status) -> None:
    assert find_status("evaluate@a", train_a=status) is Status.NO_RESULT


@pytest.mark.parametrize(
    "status", [Status.STOPPED, Status.NOT_RECORDED, Status.REFUSED, Status.NOT_RUN]
)
def test_obstacle_that_tells_nothing_of_the_model(status: Status) -> None:
    assert find_status("evaluate@a", train_a=status) is Status.NOT_RUN
    assert find_status("compare", train_b=status) is Status.NOT_RUN


def test_obstacle_of_a_stage_of_all_models() -> None:
    assert find_status("evaluate@a", load=Status.FAILED) is Status.NOT_RUN


def test_partial_stage_goes_on_without_a_model() -> None:
    assert find_status("compare", evaluate_a=Status.NO_RESULT, train_b=Status.FAILED) is None


def test_other_stage_does_not_go_on_without_a_model() -> None:
    assert find_status("summary", evaluate_a=Status.NO_RESULT) is Status.NOT_RUN


def test_partial_stage_of_a_model_needs_its_own() -> None:
    assert find_status("export", train_b=Status.FAILED) is None
    assert find_status("export", evaluate_a=Status.NO_RESULT) is Status.NO_RESULT


def test_obstacle_of_what_depends_on_a_skipped_stage() -> None:
    assert find_status("evaluate@a", train_a=Status.SKIPPED) is Status.SKIPPED
    assert find_status("compare", train_b=Status.SKIPPED) is Status.SKIPPED


def test_obstacle_of_a_failure_beside_a_skipped_stage() -> None:
    assert (
        find_status("compare", evaluate_a=Status.SKIPPED, train_b=Status.NOT_RUN) is Status.NOT_RUN
    )


def test_partial_stage_without_a_model_beside_a_skipped_stage() -> None:
    assert (
        find_status("compare", evaluate_a=Status.SKIPPED, train_b=Status.FAILED) is Status.SKIPPED
    )


def test_obstacle_says_why() -> None:
    obstacle = find_obstacle(GRAPH, "evaluate@a", {"train@a": Outcome(Status.FAILED, HERE)})
    assert obstacle is not None
    assert obstacle.text == "train@a: failed"


def find_followers(stage: str, *current_stages: str, slow: tuple[str, ...] = ()) -> list[str]:
    """Return what follows a stage at once, where other stages are current, or slow."""
    runner = LocalRunner(Slots([]), {name: Outcome(Status.SKIPPED) for name in slow})
    outcomes = {name: Outcome(Status.DONE) for name in current_stages}
    return list_followers(GRAPH, runner, stage, outcomes)


def test_followers_are_of_the_same_model() -> None:
    assert find_followers("train@a", "load") == ["evaluate@a"]
    assert find_followers("train@a", "load", "train@b") == ["evaluate@a", "export"]
    assert find_followers("load") == []


def test_followers_need_nothing_else() -> None:
    assert find_followers("train@a") == []


def test_followers_have_no_slow_stage() -> None:
    assert find_followers("train@a", "load", "train@b", slow=("evaluate@a",)) == []
    assert find_followers("train@a", "load", slow=("train@a",)) == []


def make_stage(cmd: str, out: str, *deps: str, **meta: object) -> dict[str, Any]:
    return shell_stage(cmd, out, *deps) | {"meta": meta}


def make_project() -> None:
    """Make a project of two models here; the training of NAME fails where a file bad_NAME is."""
    train = "test ! -e bad_${item} || { echo 'error: no luck' >&2; exit 1; }; cat source > ${item}"
    evaluate = "cat ${item} > results/${item}"
    write_project(
        train={
            "foreach": ["a", "b"],
            "do": make_stage(train, "${item}", "source", model="${item}"),
        },
        evaluate={
            "foreach": ["a", "b"],
            "do": make_stage(evaluate, "results/${item}", "${item}", model="${item}"),
        },
        compare=make_stage("ls results > names", "names", "results", partial=True),
    )
    Path("results").mkdir()
    Path("source").write_text("1")


@pytest.fixture
def project(workspace: Path) -> None:
    make_project()


class Failure(NamedTuple):
    """A project in which the training of `a` failed, beside an old result of `a`."""

    folder: Path
    lines: list[str]  # that `mri-stages repro` printed


@pytest.fixture(scope="module")
def original_failure(tmp_path_factory: pytest.TempPathFactory) -> Failure:
    folder = tmp_path_factory.mktemp("failure") / "project"
    folder.mkdir()
    copy_environment(folder)
    write_params(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_project()
        Path("bad_a").touch()
        Path("results/a").write_text("old")
        return Failure(folder, run_repro(status=1))


@pytest.fixture
def failure(original_failure: Failure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Failure:
    """Return a copy of the project with a failed training, as the current folder."""
    folder = shutil.copytree(original_failure.folder, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(folder)
    return original_failure._replace(folder=folder)


def list_changed() -> set[str]:
    """Return the stages that DVC would run."""
    status = subprocess.run([*DVC, "status", "--json"], check=True, capture_output=True)
    return set(json.loads(status.stdout))


@pytest.mark.slow
def test_failure_removes_what_depends_on_it(failure: Failure) -> None:
    assert not Path("results/a").exists()
    assert Path("results/b").read_text() == "1"
    assert Path("names").read_text() == "b\n"


@pytest.mark.slow
def test_failure_leaves_its_stages_to_dvc(failure: Failure) -> None:
    assert list_changed() == {"train@a", "evaluate@a"}


@pytest.mark.slow
def test_failure_is_in_a_table_with_its_reason(failure: Failure) -> None:
    rows = [re.split("  +", line) for line in failure.lines if re.match(r"\S+@a  ", line)]
    assert rows == [
        ["train@a", "failed", "no luck"],
        ["evaluate@a", "no result", "train@a: failed"],
    ]


@pytest.mark.slow
def test_failure_that_stays_runs_nothing_else(failure: Failure) -> None:
    assert list_started(run_repro(status=1)) == ["train@a"]


@pytest.mark.slow
def test_failure_that_is_repaired_leaves_nothing(failure: Failure) -> None:
    Path("bad_a").unlink()
    run_repro()
    assert list_changed() == set()
    assert Path("results/a").read_text() == "1"
    assert Path("names").read_text() == "a\nb\n"


@pytest.mark.slow
def test_stages_of_a_model_share_a_process_of_dvc(workspace: Path) -> None:
    write_project(
        train=make_stage("echo $PPID > t", "t", model="a"),
        evaluate=make_stage("cat t > e; echo $PPID >> e", "e", "t", model="a"),
    )
    lines = [line.split(" in ")[0] for line in run_repro()]
    assert len(set(Path("e").read_text().split())) == 1
    assert lines == ["train: started", "train: done", "evaluate: started", "evaluate: done"]


@pytest.mark.slow
def test_failure_of_all_models_still_compares(project: None) -> None:
    Path("results").rmdir()  # as in a clone
    for model in ("a", "b"):
        Path(f"bad_{model}").touch()
    run_repro(status=1)
    assert Path("names").read_text() == ""
    assert list_changed() == {"train@a", "train@b", "evaluate@a", "evaluate@b"}


@pytest.mark.slow
def test_failure_of_a_named_stage_removes_nothing_else(project: None) -> None:
    Path("results/a").write_text("old")
    Path("bad_a").touch()
    run_repro("train@a", status=1)
    assert Path("results/a").exists()
    assert not Path("names").exists()


def write_other_end(command: str) -> None:
    """Let the training of `a` run this command, beside an old result of `a`."""
    definition = Path("dvc.yaml").read_text()
    Path("dvc.yaml").write_text(definition.replace("exit 1", command))
    Path("bad_a").touch()
    Path("results/a").write_text("old")


@pytest.mark.slow
def test_stopped_training_removes_no_later_out(project: None) -> None:
    write_other_end("kill -TERM $$")
    run_repro("compare", status=1)
    assert Path("results/a").exists()
    assert not Path("names").exists()


def test_result_that_dvc_cannot_record_stays(project: None) -> None:
    """Such as where the disk is full: hours of training would be lost."""
    cache = Path(".dvc/cache/files/md5")
    shutil.rmtree(cache, ignore_errors=True)
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.touch()
    Path("a").unlink(missing_ok=True)
    Path("results/a").write_text("old")
    run_repro("compare", status=1)
    assert Path("a").exists()
    assert Path("results/a").exists()


def test_interrupt_removes_no_later_out(project: None) -> None:
    write_other_end("echo ready; tail -f /dev/null & wait")
    process = start_command(*REPRO)
    read_until(process, "train@a: ready")
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert Path("results/a").exists()


# DVC's own code uses it.
@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")
def test_run_trainings_sends_no_slow_one(workspace: Path) -> None:
    write_project(train=shell_stage("echo > x", "x"))
    skipped = Outcome(Status.SKIPPED)
    graph = StageGraph({"train": frozenset()}, remote=frozenset({"train"}))

    async def run() -> dict[str, Outcome]:
        return await run_trainings(graph, LocalRunner(Slots([]), {"train": skipped}), {"train"})

    assert asyncio.run(run()) == {"train": skipped}


@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")
def test_run_locally_goes_on_where_dvc_cannot_answer(workspace: Path) -> None:
    """params.yaml becomes unreadable before a slow stage asks for its result."""
    write_project(train=shell_stage("echo > x", "x") | {"params": ["lr"]})
    Path("params.yaml").write_text("lr: [")
    graph = StageGraph({"train": frozenset(), "report": frozenset({"train"}), "other": frozenset()})
    runner = LocalRunner(Slots([]), {"train": Outcome(Status.SKIPPED)})
    outcomes = asyncio.run(run_locally(graph, runner, {}, {"train"}))
    statuses = [outcomes[stage].status for stage in graph.deps]
    assert statuses == [Status.NOT_RECORDED, Status.NOT_RUN, Status.UP_TO_DATE]
    assert "params.yaml" in format_outdated_stages(outcomes)


LOCK = {
    "schema": "2.0",
    "stages": {
        "export@model": {"cmd": "x", "outs": [{"path": "models/export", "md5": "1.dir"}]},
        "other": {"cmd": "y", "outs": [{"path": "models/other", "md5": "2"}]},
    },
}


def remove_export(outs: dict[str, list[Path]]) -> None:
    """Call `remove_former_export` in a project whose stages have these outs."""
    asyncio.run(remove_former_export(StageGraph({}, outs=outs)))


def test_remove_former_export_asks_the_stages(workspace: Path) -> None:
    paths.EXPORT.mkdir(parents=True)
    Path("dvc.lock").write_text(json.dumps(LOCK))
    remove_export({"export@model": [workspace / paths.EXPORT]})
    assert paths.EXPORT.exists()


# DVC's own code uses it.
@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")
def test_remove_former_export_with_what_dvc_knows_of_it(workspace: Path) -> None:
    write_project(other=shell_stage("y", "models/other"))
    paths.EXPORT.mkdir(parents=True)
    Path("dvc.lock").write_text(json.dumps(LOCK))
    remove_export({"other": [workspace / "models/other"]})
    assert not paths.EXPORT.exists()
    assert list(yaml.safe_load(Path("dvc.lock").read_text())["stages"]) == ["other"]


@pytest.mark.parametrize("content", ["{}", json.dumps(LOCK).replace("models/export", "export")])
def test_remove_former_export_leaves_a_folder_made_by_hand(workspace: Path, content: str) -> None:
    paths.EXPORT.mkdir(parents=True)
    Path("dvc.lock").write_text(content)
    remove_export({})
    assert paths.EXPORT.exists()


WEIGHTS = {"file": "w.safetensors", "sha256": 64 * "a"}
TRAININGS_WITH_WEIGHTS = [
    "train@small",
    "cross_validate@small",
    "studies/dvc.yaml:learning_rate@0.01",
    "studies/dvc.yaml:batch_size@fixed-4",
    "studies/dvc.yaml:leakage@100",
    "studies/dvc.yaml:leakage_permuted",
]


def test_list_weights_names_the_file_of_each_training(workspace: Path) -> None:
    write_params(workspace, {"models.small.weights": WEIGHTS})
    models = {"train@small": "small", "cross_validate@small": "small", "train@conv": "conv"}
    graph = StageGraph({}, models=models)
    stages = [*TRAININGS_WITH_WEIGHTS, "train@conv", "scale"]
    assert list_weights(graph, stages) == dict.fromkeys(TRAININGS_WITH_WEIGHTS, WEIGHTS)
