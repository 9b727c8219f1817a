"""The page of the studies, written from small files whose figures are known."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.storage.files import write_json
from mri_stages.studies.leakage_dose import list_doses
from mri_stages.studies.records import LeakageRun, Summary, write_records
from stages.studies import report
from stages.studies.report import CURVATURE_MEASURES, FIT_MEASURES
from tests.helpers.params import write_params

LEAKAGE_RUN = LeakageRun(
    model="small", seed=0, share=100, permuted=True, rows=9, test_rows=9, accuracy=0.5,
    ci_low=0.5, ci_high=0.5, balanced_accuracy=0.5, majority=0.5,
)  # fmt: skip
CLAIM_A = {
    "question": "Q1",
    "claim": "A",
    "rule": "R",
    "figures": {"by_value": {"0.1": {"mean": 0.0, "sd": 0.5, "of": 2}}, "p": "< 1e-6"},
    "verdict": "holds",
    "would_decide": None,
}
CLAIM_B = {
    "question": "Q2",
    "claim": "B",
    "rule": "R",
    "figures": {},
    "verdict": "not decided here",
    "would_decide": "W",
}
CLAIMS = [CLAIM_A, CLAIM_B, CLAIM_B | {"claim": "C"}]


def make_summaries() -> list[Summary]:
    """Return two values of each study: one with figures, one of which all runs diverged."""
    summaries = []
    for study in ("seed", "learning_rate", "fixed", "linear"):
        for value, figures in (("1", (0.5, 0.12, 2, 1, 0)), ("9", (None, None, 0, 2, 2))):
            mean, sd, runs, without, diverged = figures
            for measure in (*FIT_MEASURES, *CURVATURE_MEASURES):
                summary = Summary(
                    study=study, value=value, measure=measure, mean=mean, sd=sd, runs=runs,
                    without=without, diverged=diverged,
                )  # fmt: skip
                summaries.append(summary)
    return summaries


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with all files of which the page is made."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path)
    write_records(paths.STUDY_SUMMARY, Summary, make_summaries())
    write_json(paths.CLAIMS, {"claims": CLAIMS})
    write_leakage_runs([LEAKAGE_RUN])
    return tmp_path


def write_leakage_runs(runs: list[LeakageRun]) -> None:
    """Write the same runs with each share, and the same with permuted labels."""
    for dose in list_doses(read_params().studies.leakage):
        runs_of_dose = []
        for run in runs:
            update = {"share": dose.share, "permuted": dose.is_permuted}
            runs_of_dose.append(run.model_copy(update=update))
        write_records(dose.path, LeakageRun, runs_of_dose)


def write_page() -> str:
    """Run the stage; return its page."""
    report.main()
    return paths.STUDY_REPORT.read_text().replace("\N{NO-BREAK SPACE}", " ")


def read_table(page: str, caption: str) -> dict[str, list[str]]:
    """Return the cells of each row below a caption, by the first cell of the row."""
    table = page.split(f">{caption}")[1].split("</table>")[0]
    rows = {}
    for line in table.split("<tr>")[1:]:
        first_cell, *cells = re.findall(r"<t[hd].*?>(.*?)</t[hd]>", unescape(line))
        rows[first_cell] = cells
    return rows


TABLES = [
    ("Models over seeds", len(FIT_MEASURES)),
    ("small by learning rate<", len(FIT_MEASURES)),
    ("small by learning rate: curvature", len(CURVATURE_MEASURES)),
    ("small by batch size, learning rate fixed<", len(FIT_MEASURES)),
    ("small by batch size, learning rate in proportion: curvature", len(CURVATURE_MEASURES)),
]


@pytest.mark.parametrize(("caption", "n_measures"), TABLES)
def test_table_shows_mean_deviation_and_missing_runs(
    workspace: Path, caption: str, n_measures: int
) -> None:
    table = read_table(write_page(), caption)
    assert table["1"] == ["0.5 ± 0.12 (1 without)"] * n_measures + ["0 of 3"]


@pytest.mark.parametrize(("caption", "n_measures"), TABLES)
def test_table_shows_a_value_without_numbers(
    workspace: Path, caption: str, n_measures: int
) -> None:
    table = read_table(write_page(), caption)
    assert table["9"] == ["-"] * n_measures + ["2 of 2"]


def test_lead_counts_the_verdicts(workspace: Path) -> None:
    sentence = write_page().split("<p>Of ")[1].split("</p>")[0]
    assert re.findall(r"\d+", sentence) == ["3", "1", "0", "2"]


def test_lead_begins_with_the_answer_on_rates(workspace: Path) -> None:
    lead = write_page().split('class="lead">')[1].split("</p>")[0]
    assert "only 1 does not diverge; 9 diverges" in lead
    assert "0.5 ± 0.12" in lead


def test_table_without_divergence_has_no_such_column() -> None:
    summaries = [row for row in make_summaries() if row.value == "1" and row.study == "seed"]
    table = report.build_values_table("", "model", FIT_MEASURES, summaries)
    assert table.header == ["model", *FIT_MEASURES.values()]


def test_claims_stand_below_their_question(workspace: Path) -> None:
    first_part, second_part = write_page().split('<h2 id="batch-size">')
    assert list(read_table(first_part, "The notebook")) == ["claim", "A"]
    assert list(read_table(second_part, "The notebook")) == ["claim", "B", "C"]


def test_claim_shows_its_figures_in_one_line(workspace: Path) -> None:
    first_part, _ = write_page().split('<h2 id="batch-size">')
    cells = read_table(first_part, "The notebook")["A"]
    assert cells == ["holds", "R", "by value: (0.1: 0 ± 0.5); p: < 1e-6"]


def test_claim_undecided_shows_what_would_decide(workspace: Path) -> None:
    _, second_part = write_page().split('<h2 id="batch-size">')
    assert read_table(second_part, "The notebook")["B"][1] == "R. Would decide: W"


def list_pictures(page: str) -> list[str]:
    return re.findall(r'src="(.*?)"', page)


def test_page_links_its_pictures(workspace: Path) -> None:
    names = ("leakage", "learning_rate", "batch_size")
    assert list_pictures(write_page()) == [f"plots/{name}.png" for name in names]


def test_page_without_subjects_has_no_leakage_picture(workspace: Path) -> None:
    write_leakage_runs([])
    assert "plots/leakage.png" not in list_pictures(write_page())


def test_page_shows_params_escaped(workspace: Path) -> None:
    params_text = paths.PARAMS.read_text() + "# <p>\n"
    paths.PARAMS.write_text(params_text)
    page = write_page()
    assert unescape(page.split("<pre>")[1].split("</pre>")[0]) == params_text
    assert "# <p>" not in page


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ({}, ""),
        ({"lowest_loss_rate": 0.1}, "lowest loss rate: 0.1"),
        ({"rho": 0.1234, "n": 1234}, "rho: 0.123; n: 1234"),
        ({"share": {"1": 0.5, "10": 1}}, "share: (1: 0.5; 10: 1)"),
        ({"by_value": {"1": {"of": 0, "without": 5}}}, "by value: (1: -)"),
        ({"by_value": {"1": {"mean": 2.0, "of": 1, "without": 4}}}, "by value: (1: 2 (4 without))"),
    ],
)
def test_format_figures_of_a_claim(figures: dict[str, Any], text: str) -> None:
    assert report.format_figures(figures) == text


@pytest.mark.parametrize(
    ("value", "n_digits", "text"),
    [
        (0.12345, 3, "0.123"),
        (1234.5, 3, "1234"),
        (999.6, 3, "1000"),
        (28.48, 2, "28"),
        (-2.5e-5, 3, "-2.5e-05"),
        (225646185.0, 2, "2.3e+08"),
    ],
)
def test_format_digits_keeps_all_before_the_point(value: float, n_digits: int, text: str) -> None:
    assert report.format_digits(value, n_digits) == text


def test_page_says_the_accuracy_of_each_leakage_dose(workspace: Path) -> None:
    lead = write_page().split("Leakage of small")[1].split("</p>")[0]
    assert re.findall(r"0\.5\d\d with (\d+) %", lead) == ["0", "100"]
