"""The studies as their user runs them, with the real dvc."""

import csv
import json
import re
from html import unescape
from pathlib import Path

import pytest

from tests.pipeline.browser import needs_chromium, opened
from tests.pipeline.conftest import Clone

STUDIES = "studies/dvc.yaml"


@pytest.fixture(scope="module")
def studied(finished: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone after `make studies`, committed; a test that changes it takes a copy."""
    clone = finished.copy(tmp_path_factory.mktemp("studied") / "clone")
    trainings = [f"{STUDIES}:{study}" for study in ("seed", "learning_rate", "batch_size")]
    clone.run("python", "-m", "scripts.repro", *trainings)
    clone.repro(STUDIES)
    clone.commit("studies")
    return clone


@needs_chromium
def test_study_report_shows_tables_claims_and_pictures(studied: Clone, tmp_path: Path) -> None:
    folder = studied.folder / "studies"
    dom, log = opened(folder / "report.html", tmp_path)
    assert "CONSOLE" not in log
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", dom)).split())
    claims = json.loads((folder / "claims.json").read_text())["claims"]
    for claim in claims:
        assert f"{claim['claim']} {claim['verdict']} {claim['rule']}" in text
    with (folder / "summary.csv").open() as file:
        shown = [row for row in csv.DictReader(file) if row["measure"] == "held_out_accuracy"]
    assert len(shown) == 4  # a model, a learning rate, a batch size at two rates
    for row in shown:
        assert f"{row['value']} {float(row['mean']):.3g}" in text
    pictures = re.findall(r'<img[^>]* src="(plots/[^"]+)"', dom)
    assert sorted(pictures) == ["plots/batch_size.png", "plots/learning_rate.png", "plots/seed.png"]
    assert all((folder / picture).is_file() for picture in pictures)


def test_repro_of_a_new_value_trains_it_alone_and_a_new_seed_its_study(
    studied: Clone, tmp_path: Path
) -> None:
    clone = studied.copy(tmp_path / "clone")
    assert clone.repro(STUDIES) == []
    clone.edit("params.yaml", "values: [1.0e-8]", "values: [1.0e-8, 10]")
    trained = [stage for stage in clone.repro(STUDIES) if "@" in stage]
    assert trained == [f"{STUDIES}:learning_rate@10"]
    assert "learning_rate,10.0," in (clone.folder / "studies/summary.csv").read_text()
    old = "models: [simple_nn2]\n    seeds: [0]"
    clone.edit("params.yaml", old, old.replace("[0]", "[0, 1]"))
    trained = [stage for stage in clone.repro(STUDIES) if "@" in stage]
    assert trained == [f"{STUDIES}:seed@simple_nn2"]
    assert len((clone.folder / "studies/runs/seed/simple_nn2.csv").read_text().splitlines()) == 3
    assert clone.repro() == ["report"]  # the page shows all of params.yaml


def test_clone_without_cache_has_every_out_of_the_studies(studied: Clone, tmp_path: Path) -> None:
    clone = studied.git_clone(tmp_path / "clone")
    clone.run("dvc", "config", "--local", "cache.dir", str(tmp_path / "empty"))
    lines = clone.run("dvc", "data", "status", "--json")
    missing = json.loads(lines[lines.index("{") :]).get("not_in_cache", [])
    assert not [path for path in missing if path.startswith("studies")]
    plots = clone.run("dvc", "plots", "show", "--json", "studies/runs/learning_rate/1e-08.csv")
    assert "held_out_accuracy" in plots
