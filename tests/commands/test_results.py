"""The tables of `mri-stages results`."""

import re
from pathlib import Path

import pytest

from mri_stages import paths
from mri_stages.commands import results
from mri_stages.commands.results import choose_new_scores, print_table
from mri_stages.config.schema import BASELINES
from mri_stages.errors import InputError
from mri_stages.reporting.scores import ACCURACY, AUC
from mri_stages.storage.groups import GroupResult, write_groups
from mri_stages.storage.records import (
    Difference,
    Leakage,
    Metrics,
    write_differences,
    write_leakage,
    write_metrics,
)
from tests.helpers.locked_projects import DAMAGED_LOCKS


def make_metrics(**changes: object) -> Metrics:
    figures = {"accuracy": 0.5, "ci_low": 0.25, "ci_high": 0.75, "balanced_accuracy": 0.125}
    return Metrics.model_validate({**figures, "macro_f1": 0.0625, **changes})


def test_table_has_a_row_of_each_model(capsys: pytest.CaptureFixture[str]) -> None:
    first = make_metrics(auc=0.875, auc_low=0.75, auc_high=1.0, by="subject")
    print_table("Title", {"first": first, "second": make_metrics(by="subject")}, [AUC, ACCURACY])
    _, title, header, *rows = capsys.readouterr().out.splitlines()
    assert title == "Title"
    assert header.split() == ["AUC", "accuracy"]
    expected = ["first 0.875 (0.750 to 1.000) 0.500", "second - 0.500"]
    assert [" ".join(row.split()) for row in rows] == expected


def test_table_aligns_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"a": make_metrics(auc=0.875, by="row"), "longer": make_metrics(auc=0.75, by="row")}
    print_table("Title", metrics, [AUC, ACCURACY])
    _, _, *lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1


def test_table_on_the_given_split_has_an_interval_of_accuracy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table("Title", {"model": make_metrics()}, [ACCURACY])
    assert capsys.readouterr().out.endswith("0.500 (0.250 to 0.750)\n")


def test_table_marks_a_diverged_model(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"good": make_metrics(auc=0.5), "hot": make_metrics(diverged=True)}
    print_table("Title", metrics, [AUC])
    assert capsys.readouterr().out.splitlines()[-1].split() == ["hot", "diverged"]


def test_table_cuts_a_long_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", {"m" * 30: make_metrics()}, [ACCURACY])
    assert capsys.readouterr().out.splitlines()[-1].startswith("m" * 24 + " ")


def test_table_lists_a_model_without_result_last(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", {"model": make_metrics()}, [ACCURACY], ["failed"])
    assert capsys.readouterr().out.splitlines()[-1].split() == ["failed", "no", "result"]


def test_new_scores_of_two_classes_end_with_the_improper_ones() -> None:
    scores = choose_new_scores({"model": make_metrics(auc=0.5, brier_scaled=0.25)})
    keys = [score.key for score in scores]
    assert keys[0] == "auc"
    assert keys[-2:] == ["accuracy", "macro_f1"]
    assert "net_benefit" in keys


def test_new_scores_of_many_classes_have_no_decision() -> None:
    keys = [score.key for score in choose_new_scores({"model": make_metrics(auc=0.5)})]
    assert keys == ["auc", "balanced_accuracy", "accuracy", "macro_f1"]


def test_results_before_a_run_are_an_error_alone(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_differences([])
    for name in BASELINES:  # as in a clone: in Git
        write_metrics(paths.metrics(name), make_metrics())
        write_metrics(paths.new_subject_metrics(name), make_metrics(by="row"))
    with pytest.raises(InputError, match=str(paths.LEAKAGE)):
        results.main([])
    assert capsys.readouterr().out == ""


def test_results_with_a_damaged_lock_are_an_error_alone(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dvc.lock").write_bytes(DAMAGED_LOCKS["list"])
    with pytest.raises(InputError, match=r"dvc\.lock"):
        results.main([])
    assert capsys.readouterr().out == ""


def test_results_begin_with_the_difference_from_the_best_baseline(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, name in enumerate(("small", *BASELINES)):
        write_metrics(paths.metrics(name), make_metrics())
        metrics = make_metrics(auc=0.75 - place / 100, by="subject")
        write_metrics(paths.new_subject_metrics(name), metrics)
    write_differences([Difference("small", "majority", 0.125, -0.25, 0.5, 0.375, 60)])
    write_leakage(Leakage(sentence="They leak.", nearest_neighbour_given=0.2))
    write_groups([GroupResult("small", "sex", "F", 20, 2)])
    results.print_results()
    first_paragraph, figures, *others = capsys.readouterr().out.strip().split("\n\n")
    assert re.findall(r"small|-?\d\.\d+", first_paragraph) == [
        *("small", "0.125", "-0.250", "0.500", "0.375"),
    ]
    assert "0.750" in figures
    assert any("sex F" in paragraph for paragraph in others)
