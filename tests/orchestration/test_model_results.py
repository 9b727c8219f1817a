"""The results of a model: what state they are in, and what a removal takes away."""

from pathlib import Path

import pytest

from mri_stages.orchestration.graph import StageGraph
from mri_stages.orchestration.model_results import (
    ResultState,
    judge_results,
    list_stages_of_model,
)

GRAPH = StageGraph(
    deps={"train@a": frozenset(), "train@b": frozenset(), "export": frozenset({"train@a"})},
    models={"train@a": "a", "train@b": "b", "export": "a", "studies/dvc.yaml:seed@a": "a"},
)


def test_list_stages_of_model_leaves_those_that_take_another() -> None:
    assert list_stages_of_model(GRAPH, "a") == ["train@a", "studies/dvc.yaml:seed@a"]


@pytest.mark.parametrize(
    ("existing", "due_stages", "running_stages", "state"),
    [
        (["weights", "scores"], [], [], ResultState.UP_TO_DATE),
        (["weights", "scores"], ["train"], [], ResultState.STALE),
        (["scores"], ["train", "evaluate"], [], ResultState.STALE),
        ([], ["train", "evaluate"], [], ResultState.NONE),
        ([], ["train", "evaluate"], ["train"], ResultState.RUNNING),
    ],
)
def test_judge_results(
    tmp_path: Path,
    existing: list[str],
    due_stages: list[str],
    running_stages: list[str],
    state: ResultState,
) -> None:
    for name in existing:
        (tmp_path / name).touch()
    outs = {"train": [tmp_path / "weights"], "evaluate": [tmp_path / "scores"]}
    stages = ["train", "evaluate"]
    assert judge_results(stages, due_stages, running_stages, outs) is state
