"""The stages of studies/dvc.yaml on a tiny raw folder."""

from collections.abc import Callable
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import PARAMS, call_stage, write_raw
from tests.helpers.plain_training import make_recipe

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.models import make_network
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.storage.dataset import load_scaled, read_info
from mri_stages.storage.files import read_csv, read_json, write_csv
from mri_stages.studies.claims import Claim
from mri_stages.studies.curvature import loss_and_accuracy
from mri_stages.studies.leakage_dose import LeakageRun
from mri_stages.studies.measure import Run, Summary
from mri_stages.training.loop import train

Stage = Callable[..., None]


@pytest.fixture
def stage(workspace: Path) -> Stage:
    """Run a stage of the studies in the workspace, where the data are scaled."""
    write_raw(workspace / "data/raw")
    for name in ("load", "scale"):
        call_stage(workspace, name)
    return lambda name, *arguments: call_stage(workspace, f"studies.{name}", *arguments)


def test_run_of_a_learning_rate_trains_each_seed_on_rows_not_held_out(stage: Stage) -> None:
    stage("run", "learning_rate", "0.01")
    path = paths.study_runs("learning_rate", "0.01")
    before = path.read_bytes()
    _, second = read_csv(path, Run)
    assert (second.model, second.seed, second.lr, second.batch_size) == ("small", 1, 0.01, 5)
    rows = load_scaled("train", read_info())
    chosen = assign_folds(rows.labels, rows.subjects, 5, seed=0) == 0
    assert rows.subjects is not None
    assert not set(rows.subjects[chosen]) & set(rows.subjects[~chosen])
    x, y = torch.from_numpy(rows.images[~chosen]), torch.from_numpy(rows.labels[~chosen])
    network = make_network("simple_nn2", (3, 36, 40), 3, seed=1)
    train(network, x, y, make_recipe(lr=0.01, batch_size=5, epochs=2, seed=1))
    loss, accuracy = loss_and_accuracy(network, x, y)
    assert second.train_loss == pytest.approx(loss, rel=1e-5)
    assert (second.rows, second.held_out_rows) == (len(y), chosen.sum())
    assert second.train_accuracy == accuracy
    assert second.sharpness > 0
    stage("run", "learning_rate", "0.01")
    assert path.read_bytes() == before


def test_run_of_all_rows_takes_one_step_per_epoch_and_a_rate_in_proportion(stage: Stage) -> None:
    for rule in ("linear", "fixed"):
        stage("run", rule, "all")
        for found in read_csv(paths.study_runs("batch_size", f"{rule}-all"), Run):
            assert found.batch_size == found.rows
            assert found.lr == pytest.approx(0.01 * (found.rows / 5 if rule == "linear" else 1))
            assert found.steps_to_90 == found.epochs_to_90


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("run", "learning_rate", "0.02"), "studies.learning_rate.values"),
        (("run", "seed", "small"), "studies.seed.models"),
        (("run", "linear", "10000"), "studies.batch_size.values"),
        (("results",), "studies/runs/seed/conv.csv"),
        (("leakage", "50"), "studies.leakage.shares"),
    ],
)
def test_stage_names_what_is_wrong(stage: Stage, arguments: list[str], named: str) -> None:
    Path("params.yaml").write_text(PARAMS.replace("[4, all]", "[4, 10000, all]"))
    with pytest.raises(InputError, match=named):
        stage(*arguments)


def test_leakage_trains_and_tests_the_same_numbers_of_rows_at_every_dose(stage: Stage) -> None:
    doses = {}
    for value in ("0", "100", "permuted"):
        stage("leakage", value)
        doses[value] = read_csv(paths.study_runs("leakage", value), LeakageRun)
        assert [run.seed for run in doses[value]] == [0, 1]
    sizes = [[(run.rows, run.test_rows) for run in runs] for runs in doses.values()]
    assert sizes[0] == sizes[1] == sizes[2]
    assert [runs[0].share for runs in doses.values()] == [0, 100, 100]
    assert [runs[0].permuted for runs in doses.values()] == [False, False, True]
    assert doses["0"] != doses["100"]
    for path in Path("data/flat").glob("subjects_*"):
        path.unlink()
    stage("leakage", "100")
    assert read_csv(paths.study_runs("leakage", "100"), LeakageRun, least=0) == []


def test_tables_pictures_and_claims_follow_from_the_runs(stage: Stage) -> None:
    stage("run", "seed", "conv")
    rows = read_csv(paths.study_runs("seed", "conv"), Run)
    assert all(isnan(row.gradient_start) for row in rows)  # curvature is not measured
    Path("params.yaml").write_text(PARAMS.replace("[4, all]", "[all]"))
    changes: dict[str, dict[str, Any]] = {
        "learning_rate/0.01": {"lr": 0.01}, "learning_rate/1e+30": {"lr": 1e30},
        "batch_size/fixed-all": {"batch_size": 17}, "batch_size/linear-all": {"batch_size": 17},
        "seed/gone": {"model": "gone"},  # not in params.yaml
    }  # fmt: skip
    for place, change in changes.items():
        changed = [list(row.model_copy(update=change).model_dump().values()) for row in rows]
        write_csv(paths.study_runs(*place.split("/")), list(Run.model_fields), changed)
    for value in ("0", "100", "permuted"):
        stage("leakage", value)
    stage("results")
    summary_rows = read_csv(paths.STUDY_SUMMARY, Summary)
    summary = {(row.study, row.value, row.measure): row for row in summary_rows}
    assert {study for study, _, _ in summary} == {"seed", "learning_rate", "fixed", "linear"}
    gap = summary["linear", "17", "gap"]
    assert gap.mean == pytest.approx((rows[0].gap + rows[1].gap) / 2)
    assert (gap.runs, gap.without, gap.diverged) == (2, 0, 0)
    assert summary["seed", "conv", "sharpness"].without == 2
    assert ("seed", "gone", "gap") not in summary
    for picture in ("learning_rate", "batch_size", "leakage"):
        assert (paths.STUDY_PLOTS / f"{picture}.png").stat().st_size > 10_000
    assert len(read_json(paths.CLAIMS, dict[str, list[Claim]])["claims"]) == 21
