from math import inf, nan
from pathlib import Path

import pytest

from mri_stages.config.schema import Params
from mri_stages.errors import InputError
from mri_stages.studies.points import LrRule, StudyName, StudyPoint
from mri_stages.studies.records import Run, write_records
from mri_stages.studies.summary import (
    SUMMARISED_MEASURES,
    StudyRuns,
    compute_mean_and_std,
    group_by_rate,
    group_by_size,
    group_runs,
    read_study_runs,
    select_finite,
    summarise_groups,
    summarise_studies,
)
from tests.helpers.params import apply_changes, default_params
from tests.helpers.study_runs import make_run

PARAMS = Params.model_validate(
    apply_changes(default_params(), {"studies.learning_rate.values": [0.01]})
)


def write_all_runs() -> None:
    """Write a run for each point of the params, in the current folder."""
    points = {
        StudyPoint(StudyName.SEED, "conv"): make_run(model="conv"),
        StudyPoint(StudyName.LEARNING_RATE, 0.01): make_run(lr=0.01),
    }
    for rule in LrRule:
        points[StudyPoint(StudyName.BATCH_SIZE, 4, rule)] = make_run(batch_size=4)
        points[StudyPoint(StudyName.BATCH_SIZE, "all", rule)] = make_run(
            batch_size=17, gap=0.3 if rule is LrRule.FIXED else 0.4
        )
    for point, run in points.items():
        write_records(point.path, Run, [run])


def test_read_study_runs_groups_every_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_all_runs()
    runs = read_study_runs(PARAMS)
    assert list(runs.seed) == ["conv"]
    assert list(runs.learning_rate) == [0.01]
    assert {rule: list(groups) for rule, groups in runs.batch_size.items()} == {
        LrRule.FIXED: [4, 17],
        LrRule.LINEAR: [4, 17],
    }
    assert runs.batch_size[LrRule.LINEAR][17][0].gap == 0.4


def test_read_study_runs_names_a_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"studies/runs/seed/conv\.csv"):
        read_study_runs(PARAMS)


def test_group_runs_keeps_the_order_of_values() -> None:
    runs = [make_run(model=name) for name in ("b", "a", "b")]
    groups = group_runs(runs, lambda run: run.model)
    assert [(name, len(group)) for name, group in groups.items()] == [("b", 2), ("a", 1)]


def test_group_by_rate_sorts_the_rates() -> None:
    runs = [make_run(lr=lr) for lr in (10.0, 1e-8, 0.1)]
    assert list(group_by_rate(runs)) == [1e-8, 0.1, 10.0]


def test_group_by_size_sorts_the_sizes() -> None:
    runs = [make_run(batch_size=size) for size in (100, 5, 17)]
    assert list(group_by_size(runs)) == [5, 17, 100]


def test_summarise_groups_has_a_row_per_measure() -> None:
    summaries = summarise_groups("seed", {"a": [make_run()], "b": [make_run()]})
    measures = [(summary.value, summary.measure) for summary in summaries]
    assert measures == [(value, name) for value in ("a", "b") for name in SUMMARISED_MEASURES]


def test_summarise_groups_counts_runs_without_a_number() -> None:
    runs = [make_run(gap=0.1), make_run(gap=0.3), make_run(gap=nan, diverged=True)]
    (gap,) = (row for row in summarise_groups("seed", {"a": runs}) if row.measure == "gap")
    assert gap.mean == pytest.approx(0.2)
    assert gap.sd == pytest.approx(0.02**0.5)
    assert (gap.runs, gap.without, gap.diverged) == (2, 1, 1)


def test_summarise_studies_names_both_rules_of_sizes() -> None:
    groups = group_by_size([make_run()])
    sizes = {LrRule.FIXED: groups, LrRule.LINEAR: groups}
    summaries = summarise_studies(StudyRuns({"net": [make_run()]}, {0.1: [make_run()]}, sizes))
    studies = list(dict.fromkeys(summary.study for summary in summaries))
    assert studies == ["seed", "learning_rate", "fixed", "linear"]


def test_select_finite_leaves_out_nan_and_infinity() -> None:
    assert select_finite([nan, 1, inf, 3, -inf]) == [1, 3]


@pytest.mark.parametrize(
    ("values", "expected"), [([1, 3], (2, 2**0.5)), ([20], (20, None)), ([], (None, None))]
)
def test_compute_mean_and_std_of_few_values(
    values: list[float], expected: tuple[float | None, float | None]
) -> None:
    average, deviation = compute_mean_and_std(values)
    assert (average, deviation) == expected
