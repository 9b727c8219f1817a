from math import inf
from pathlib import Path

from mri_stages.storage.files import read_csv
from mri_stages.studies.records import LeakageRun, Run, Summary, write_records
from tests.helpers.study_runs import make_run


def test_write_records_reads_back_equal(tmp_path: Path) -> None:
    runs = [make_run(seed=1, lr=1e-8, epochs_to_90=inf), make_run(seed=2, overshoots=True)]
    write_records(tmp_path / "runs.csv", Run, runs)
    assert read_csv(tmp_path / "runs.csv", Run) == runs


def test_write_records_without_records_has_a_header(tmp_path: Path) -> None:
    write_records(tmp_path / "runs.csv", LeakageRun, [])
    text = (tmp_path / "runs.csv").read_text()
    assert text == f"{','.join(LeakageRun.model_fields)}\n"


def test_write_records_keeps_a_whole_number_whole(tmp_path: Path) -> None:
    summary = Summary(
        study="fixed", value=5, measure="gap", mean=0.5, sd=None, runs=1, without=0, diverged=0
    )
    write_records(tmp_path / "summary.csv", Summary, [summary])
    _, row = (tmp_path / "summary.csv").read_text().splitlines()
    assert row == "fixed,5,gap,0.5,,1,0,0"
