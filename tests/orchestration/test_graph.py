"""Which stages a name means, and what they depend on."""

import pytest

from mri_stages.errors import InputError
from mri_stages.orchestration.graph import StageGraph

GRAPH = StageGraph(
    {
        "load": frozenset(),
        "train@a": frozenset({"load"}),
        "train@b": frozenset({"load"}),
        "evaluate@a": frozenset({"load", "train@a"}),
        "probe@a": frozenset({"train@a"}),
        "studies/dvc.yaml:rate@10": frozenset({"load"}),
    },
    frozenset({"train@a", "train@b", "probe@a", "studies/dvc.yaml:rate@10"}),
)
MAIN = ["load", "train@a", "train@b", "evaluate@a", "probe@a"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], MAIN),
        (["train"], ["load", "train@a", "train@b"]),
        (["evaluate", "train@b"], ["load", "train@a", "train@b", "evaluate@a"]),
        (["studies/dvc.yaml:rate"], ["load", "studies/dvc.yaml:rate@10"]),
    ],
)
def test_select_stages_of_names(names: list[str], expected: list[str]) -> None:
    assert list(GRAPH.select(names).deps) == expected


def test_select_keeps_direct_deps() -> None:
    assert GRAPH.select(["evaluate"]).deps["evaluate@a"] == {"load", "train@a"}


def test_select_keeps_remote_stages() -> None:
    assert GRAPH.select(["train@b"]).remote == {"train@b"}


@pytest.mark.parametrize("name", ["trai", "train@c", "rate", ""])
def test_select_unknown_name(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: .*train.*studies/dvc.yaml:rate"):
        GRAPH.select(["load", name])


def test_collect_ancestors_is_transitive() -> None:
    assert GRAPH.collect_ancestors(["evaluate@a"]) == {"evaluate@a", "train@a", "load"}


def test_sendable_stages_read_no_remote_stage() -> None:
    assert GRAPH.select_sendable() == {"train@a", "train@b", "studies/dvc.yaml:rate@10"}
