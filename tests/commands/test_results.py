"""The tables of `mri-stages results`."""

from pathlib import Path

import pytest

from mri_stages import paths
from mri_stages.commands import results
from mri_stages.commands.results import print_table
from mri_stages.config.schema import BASELINES
from mri_stages.errors import InputError
from mri_stages.storage.records import Metrics, write_metrics


def make_metrics(**changes: object) -> Metrics:
    figures = {"accuracy": 0.5, "ci_low": 0.25, "ci_high": 0.75, "balanced_accuracy": 0.125}
    return Metrics.model_validate({**figures, "macro_f1": 0.0625, **changes})


def test_table_has_a_row_of_each_model(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", {"first": make_metrics(auc=0.875, loss=1.5), "second": make_metrics()})
    _, title, _, *rows = capsys.readouterr().out.splitlines()
    assert title == "Title"
    first = "first 0.500 (0.250 to 0.750) 0.125 0.062 0.875 1.500"
    second = "second 0.500 (0.250 to 0.750) 0.125 0.062 - -"
    assert [" ".join(row.split()) for row in rows] == [first, second]


def test_table_marks_a_diverged_model(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", {"model": make_metrics(diverged=True)})
    assert capsys.readouterr().out.splitlines()[-1].endswith(" diverged")


def test_table_cuts_a_long_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", {"m" * 30: make_metrics()})
    assert capsys.readouterr().out.splitlines()[-1].startswith("m" * 24 + " ")


def test_table_lists_a_model_without_result_last(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", {"model": make_metrics()}, ["failed"])
    assert capsys.readouterr().out.splitlines()[-1].split() == ["failed", "no", "result"]


def test_results_before_a_run_are_an_error_alone(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in BASELINES:  # as in a clone: in Git
        write_metrics(paths.metrics(name), make_metrics())
        write_metrics(paths.new_subject_metrics(name), make_metrics(by="row"))
    with pytest.raises(InputError, match=str(paths.LEAKAGE)):
        results.main([])
    assert capsys.readouterr().out == ""
