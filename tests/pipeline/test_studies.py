"""The studies as their user runs them: what a new seed runs, and what the main pipeline leaves."""

import json
from pathlib import Path

import pytest

from tests.pipeline.conftest import Clone

# One value of each kind, two seeds of the luck of a start, on the cheapest model.
FEW = {
    "models: [simple_nn2, conv_nn2]\n    seeds: [0, 1, 2, 3, 4]": (
        "models: [simple_nn2]\n    seeds: [0]"
    ),
    "values: [1.0e-8, 1.0e-4, 0.001, 0.01, 0.1, 1, 10]\n    seeds: [0, 1, 2, 3, 4]": (
        "values: [1.0e-8]\n    seeds: [0]"
    ),
    "values: [1, 5, 15, 100, all]": "values: [all]",
    "seeds: [0, 1, 2, 3, 4]": "seeds: [0]",
}


def ran(said: str) -> list[str]:
    lines = said.splitlines()
    return [line.split("'")[1] for line in lines if line.startswith("Running stage ")]


@pytest.fixture
def studied(clone: Clone) -> Clone:
    for old, new in FEW.items():
        clone.edit("params.yaml", old, new)
    clone.run("python", "study_all.py")
    clone.commit("studies")
    return clone


def test_a_new_seed_runs_its_cells_only_and_the_main_pipeline_runs_nothing(
    studied: Clone,
) -> None:
    cells = studied.folder / "studies/cells"
    names = ["seed/simple_nn2-0", "learning_rate/1e-08-0", "batch_size/fixed-all-0"]
    before = {name: (cells / f"{name}.json").stat().st_mtime_ns for name in names}
    for name in ("batch_size.png", "learning_rate.png", "seed.png"):
        assert (studied.folder / "studies/plots" / name).is_file()
    claims = json.loads((studied.folder / "studies/claims.json").read_text())["claims"]
    assert len(claims) == 26
    assert studied.repro() == []
    assert studied.run("git", "status", "--short") == ""

    studied.edit(
        "params.yaml", "values: [1.0e-8]\n    seeds: [0]", "values: [1.0e-8, 10]\n    seeds: [0]"
    )
    assert "1 cells to run" in studied.run("python", "study_all.py")
    assert (cells / "learning_rate/10-0.json").is_file()
    assert {name: (cells / f"{name}.json").stat().st_mtime_ns for name in names} == before
    assert ran(studied.run("dvc", "repro", "studies/dvc.yaml")) == []
    assert "10," in (studied.folder / "studies/summary.csv").read_text()

    path = Path("studies/cells/seed/simple_nn2-1.json")
    studied.edit(
        "params.yaml",
        "models: [simple_nn2]\n    seeds: [0]",
        "models: [simple_nn2]\n    seeds: [0, 1]",
    )
    said = ran(studied.run("dvc", "repro", "studies/dvc.yaml"))
    assert "studies/dvc.yaml:seed@simple_nn2-1" in said
    assert not [stage for stage in said if "@" in stage and not stage.endswith("simple_nn2-1")]
    assert (studied.folder / path).is_file()
