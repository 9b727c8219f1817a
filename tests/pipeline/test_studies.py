"""The studies as their user runs them, with the real dvc; both pages in a browser, offline."""

import csv
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from mri_stages.storage.files import read_json
from mri_stages.studies.claims import JudgedClaim
from tests.helpers.clones import Clone

pytestmark = pytest.mark.slow

STUDIES = "studies/dvc.yaml"
PHONE_WIDTH = 360  # pixels
CHROMIUM = shutil.which("chromium")
CHROMIUM_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
    "--allow-file-access-from-files", "--dump-dom",
)  # fmt: skip
needs_chromium = pytest.mark.skipif(
    not CHROMIUM, reason="chromium is not installed (Debian: apt install chromium)"
)


# The pages


def load_in_chromium(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Load a page; stdout has its elements, stderr the messages of its console."""
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [str(CHROMIUM), *CHROMIUM_OPTIONS, profile, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def measure_width_on_phone(page: Path, folder: Path) -> int:
    """Return the width in pixels that a page takes in a frame as wide as a phone."""
    frame = folder / "phone.html"
    frame.write_text(
        f'<iframe width="{PHONE_WIDTH}" height="600" style="border: 0" src="{page.as_uri()}" '
        'onload="this.title = this.contentDocument.documentElement.scrollWidth"></iframe>'
    )
    elements = load_in_chromium(frame, folder).stdout
    (width,) = re.findall(r'<iframe[^>]* title="(\d+)"', elements)
    return int(width)


def read_shown_text(page: Path, folder: Path) -> str:
    """Return the text of a page, as the browser built it, in one line."""
    elements = load_in_chromium(page, folder).stdout
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", elements)).split())


PAGES = ("plots/report.html", "studies/report.html")


@needs_chromium
@pytest.mark.parametrize("page", PAGES)
def test_page_loads_without_an_error(studied: Clone, tmp_path: Path, page: str) -> None:
    assert "CONSOLE" not in load_in_chromium(studied.folder / page, tmp_path).stderr


@needs_chromium
@pytest.mark.parametrize("page", PAGES)
def test_page_fits_a_phone(studied: Clone, tmp_path: Path, page: str) -> None:
    assert measure_width_on_phone(studied.folder / page, tmp_path) <= PHONE_WIDTH


@needs_chromium
def test_report_shows_the_leakage(studied: Clone, tmp_path: Path) -> None:
    leakage = json.loads((studied.folder / "plots/leakage.json").read_text())
    page = studied.folder / "plots/report.html"
    assert leakage["sentence"] in load_in_chromium(page, tmp_path).stdout


@needs_chromium
def test_studies_report_shows_every_claim(studied: Clone, tmp_path: Path) -> None:
    folder = studied.folder / "studies"
    text = read_shown_text(folder / "report.html", tmp_path)
    for claim in read_json(folder / "claims.json", dict[str, list[JudgedClaim]])["claims"]:
        assert f"{claim.claim} {claim.verdict} {claim.rule}" in text


@needs_chromium
def test_studies_report_shows_every_value(studied: Clone, tmp_path: Path) -> None:
    folder = studied.folder / "studies"
    text = read_shown_text(folder / "report.html", tmp_path)
    with (folder / "summary.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["measure"] == "held_out_accuracy"]
    assert len(rows) == 4  # a model, a learning rate, a batch size at two rates
    for row in rows:
        assert f"{row['value']} {float(row['mean']):.3g}" in text


@needs_chromium
def test_studies_report_shows_every_picture(studied: Clone, tmp_path: Path) -> None:
    folder = studied.folder / "studies"
    elements = load_in_chromium(folder / "report.html", tmp_path).stdout
    pictures = re.findall(r'<img[^>]* src="(plots/[^"]+)"', elements)
    names = ("batch_size", "leakage", "learning_rate")
    assert sorted(pictures) == [f"plots/{name}.png" for name in names]
    assert all((folder / picture).is_file() for picture in pictures)


# New values and seeds


@pytest.fixture
def clone_of_studies(studied: Clone, tmp_path: Path) -> Clone:
    return studied.copy(tmp_path / "clone")


def list_trained_stages(clone: Clone) -> list[str]:
    """Bring the studies up to date; return the stages that trained."""
    return [stage for stage in clone.repro(STUDIES) if "@" in stage]


def test_repro_of_finished_studies_runs_nothing(clone_of_studies: Clone) -> None:
    assert clone_of_studies.repro(STUDIES) == []


def test_repro_of_a_new_value_trains_it_alone(clone_of_studies: Clone) -> None:
    clone_of_studies.change_params({"studies.learning_rate.values": [1e-8, 10]})
    assert list_trained_stages(clone_of_studies) == [f"{STUDIES}:learning_rate@10"]
    summary = (clone_of_studies.folder / "studies/summary.csv").read_text()
    assert "learning_rate,10.0," in summary


def test_repro_of_a_new_seed_trains_its_study_alone(clone_of_studies: Clone) -> None:
    clone_of_studies.change_params({"studies.seed.seeds": [0, 1]})
    assert list_trained_stages(clone_of_studies) == [f"{STUDIES}:seed@simple_nn2"]
    runs = (clone_of_studies.folder / "studies/runs/seed/simple_nn2.csv").read_text()
    assert len(runs.splitlines()) == 3  # a header and two seeds


def test_repro_after_a_change_of_studies_renews_the_report(clone_of_studies: Clone) -> None:
    clone_of_studies.change_params({"studies.seed.seeds": [0, 1]})
    assert clone_of_studies.repro() == ["report"]  # the page shows all of params.yaml
