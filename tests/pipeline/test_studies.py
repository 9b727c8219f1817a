"""The studies as their user runs them, with the real dvc; both pages in a browser, offline."""

import csv
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from tests.helpers.clones import Clone

from mri_stages.storage.files import read_json
from mri_stages.studies.claims import JudgedClaim

pytestmark = pytest.mark.slow

STUDIES = "studies/dvc.yaml"
CHROMIUM = shutil.which("chromium")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
    *("--allow-file-access-from-files", "--dump-dom"),
)


def opened(page: Path, folder: Path) -> str:
    """Return the page's elements; it must load without an error and fit a phone's 360 pixels."""
    frame = folder / "phone.html"
    frame.write_text(
        f'<iframe width="360" height="600" style="border: 0" src="{page.as_uri()}" onload='
        '"this.title = this.contentDocument.documentElement.scrollWidth"></iframe>'
    )
    command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={folder / 'profile'}"]
    done, in_frame = (
        subprocess.run([*command, url], capture_output=True, text=True, check=True)
        for url in (page.as_uri(), frame.as_uri())
    )
    assert "CONSOLE" not in done.stderr
    (width,) = re.findall(r'<iframe[^>]* title="(\d+)"', in_frame.stdout)
    assert int(width) <= 360
    return done.stdout


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed (Debian: apt install chromium)")
def test_reports_show_tables_claims_and_pictures(studied: Clone, tmp_path: Path) -> None:
    leakage = json.loads((studied.folder / "plots/leakage.json").read_text())
    assert leakage["sentence"] in opened(studied.folder / "plots/report.html", tmp_path)

    folder = studied.folder / "studies"
    dom = opened(folder / "report.html", tmp_path)
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", dom)).split())
    for claim in read_json(folder / "claims.json", dict[str, list[JudgedClaim]])["claims"]:
        assert f"{claim.claim} {claim.verdict} {claim.rule}" in text
    with (folder / "summary.csv").open() as file:
        shown = [row for row in csv.DictReader(file) if row["measure"] == "held_out_accuracy"]
    assert len(shown) == 4  # a model, a learning rate, a batch size at two rates
    assert all(f"{row['value']} {float(row['mean']):.3g}" in text for row in shown)
    pictures = re.findall(r'<img[^>]* src="(plots/[^"]+)"', dom)
    names = ("batch_size", "leakage", "learning_rate")
    assert sorted(pictures) == [f"plots/{name}.png" for name in names]
    assert all((folder / picture).is_file() for picture in pictures)


def test_repro_of_a_new_value_or_seed_trains_it_alone(studied: Clone, tmp_path: Path) -> None:
    clone = studied.copy(tmp_path / "clone")
    assert clone.repro(STUDIES) == []
    clone.change_params({"studies.learning_rate.values": [1e-8, 10]})
    trained = [stage for stage in clone.repro(STUDIES) if "@" in stage]
    assert trained == [f"{STUDIES}:learning_rate@10"]
    assert "learning_rate,10.0," in (clone.folder / "studies/summary.csv").read_text()
    clone.change_params({"studies.seed.seeds": [0, 1]})
    trained = [stage for stage in clone.repro(STUDIES) if "@" in stage]
    assert trained == [f"{STUDIES}:seed@simple_nn2"]
    assert len((clone.folder / "studies/runs/seed/simple_nn2.csv").read_text().splitlines()) == 3
    assert clone.repro() == ["report"]  # the page shows all of params.yaml
