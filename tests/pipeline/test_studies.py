"""The studies as their user runs them, with the real dvc."""

import csv
import re
from html import unescape
from pathlib import Path

from src.storage.files import read_json
from src.studies.claims import Claims
from tests.pipeline.browser import PHONE, needs_chromium, opened, width_on_phone
from tests.pipeline.conftest import Clone

STUDIES = "studies/dvc.yaml"


@needs_chromium
def test_study_report_shows_tables_claims_and_pictures(studied: Clone, tmp_path: Path) -> None:
    folder = studied.folder / "studies"
    dom, log = opened(folder / "report.html", tmp_path)
    assert "CONSOLE" not in log
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", dom)).split())
    for claim in read_json(folder / "claims.json", Claims).claims:
        assert f"{claim.claim} {claim.verdict} {claim.rule}" in text
    with (folder / "summary.csv").open() as file:
        shown = [row for row in csv.DictReader(file) if row["measure"] == "held_out_accuracy"]
    assert len(shown) == 4  # a model, a learning rate, a batch size at two rates
    for row in shown:
        assert f"{row['value']} {float(row['mean']):.3g}" in text
    pictures = re.findall(r'<img[^>]* src="(plots/[^"]+)"', dom)
    assert sorted(pictures) == ["plots/batch_size.png", "plots/learning_rate.png", "plots/seed.png"]
    assert all((folder / picture).is_file() for picture in pictures)
    assert width_on_phone(folder / "report.html", tmp_path) <= PHONE


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
