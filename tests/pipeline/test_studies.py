"""The studies as their user runs them: what a new seed runs, and what the main pipeline leaves."""

import csv
import json
import re
from html import unescape
from pathlib import Path

import pytest

from tests.pipeline.browser import needs_chromium, opened
from tests.pipeline.conftest import Clone


def ran(said: str) -> list[str]:
    lines = said.splitlines()
    return [line.split("'")[1] for line in lines if line.startswith("Running stage ")]


@pytest.fixture(scope="module")
def studied(finished: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone after its studies; a test that changes it takes a copy."""
    clone = finished.copy(tmp_path_factory.mktemp("studied") / "clone")
    clone.run("python", "study_all.py")
    clone.commit("studies")
    return clone


@needs_chromium
def test_the_page_of_the_studies_shows_their_figures_and_logs_no_error(
    studied: Clone, tmp_path: Path
) -> None:
    dom, log = opened(studied.folder / "studies/report.html", tmp_path)
    assert "CONSOLE" not in log
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", dom)).split())
    claims = json.loads((studied.folder / "studies/claims.json").read_text())["claims"]
    assert len(claims) == 26
    for claim in claims:
        assert f"{claim['claim']} {claim['verdict']} {claim['rule']}" in text
        for of_seeds in claim["figures"].get("by_value", {}).values():
            if of_seeds.get("mean") is None:
                continue
            assert f"{of_seeds['mean']:.3g}" in text
    with (studied.folder / "studies/summary.csv").open() as file:
        shown = [row for row in csv.DictReader(file) if row["measure"] == "held_out_accuracy"]
    assert len(shown) == 4  # a model, a learning rate, a batch size with two rates
    for row in shown:
        assert f"{row['value']} {float(row['mean']):.3g}" in text
    for run in json.loads((studied.folder / "studies/throughput.json").read_text())["runs"]:
        assert f"{run['batch_size']} {run['images_per_second']:.0f} " in text
    assert len(re.findall(r'<img src="data:image/png;base64,', dom)) == 3
    assert not re.search(r'(src|href)="(?!data:|#)', dom)  # nothing from elsewhere


def test_a_new_seed_runs_its_cells_only_and_the_main_pipeline_trains_nothing(
    studied: Clone, tmp_path: Path
) -> None:
    studied = studied.copy(tmp_path / "clone")
    cells = studied.folder / "studies/cells"
    names = ["seed/simple_nn2-0", "learning_rate/1e-08-0", "batch_size/fixed-all-0"]
    before = {name: (cells / f"{name}.json").stat().st_mtime_ns for name in names}
    for name in ("batch_size.png", "learning_rate.png", "seed.png"):
        assert (studied.folder / "studies/plots" / name).is_file()
    assert studied.repro() == []

    studied.edit(
        "params.yaml", "values: [1.0e-8]\n    seeds: [0]", "values: [1.0e-8, 10]\n    seeds: [0]"
    )
    assert "1 cells to run" in studied.run("python", "study_all.py")
    assert (cells / "learning_rate/10-0.json").is_file()
    assert {name: (cells / f"{name}.json").stat().st_mtime_ns for name in names} == before
    assert ran(studied.run("dvc", "repro", "studies/dvc.yaml")) == []
    assert studied.repro() == ["report"]  # which shows all of params.yaml
    assert "learning_rate,10.0," in (studied.folder / "studies/summary.csv").read_text()

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
