"""The stages of studies/dvc.yaml on a tiny raw folder."""

import json
import sys
from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src import paths
from src.cli import InputError
from src.data.splits import fold_of_rows
from src.models import make_network
from src.storage.dataset import load_split, read_info
from src.storage.files import read_csv, read_json, write_csv
from src.studies.claims import Throughput
from src.studies.curvature import loss_and_accuracy
from src.studies.runs import Run, read_runs
from src.training.loop import train
from stages.studies import run
from stages.studies.results import model_differences
from tests.conftest import PARAMS, RunStage, run_stage_in, write_raw


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "params.yaml").write_text(PARAMS)
    write_raw(folder / "data/raw")
    for stage in ("load", "scale"):
        done = run_stage_in(folder, stage)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def run_value(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Run stages.studies.run in this process, which spares its start."""
    monkeypatch.chdir(prepared)

    def call(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["run", *arguments])
        run.main()

    yield call
    (prepared / "params.yaml").write_text(PARAMS)


def test_run_of_a_learning_rate_trains_each_seed_on_the_rows_that_are_not_held_out(
    run_value: Callable[..., None],
) -> None:
    run_value("learning_rate", "0.01")
    path = Path("studies/runs/learning_rate/0.01.csv")
    first, second = read_runs(path)
    assert [(r.model, r.seed, r.lr, r.batch_size) for r in (first, second)] == [
        ("small", 0, 0.01, 5), ("small", 1, 0.01, 5)
    ]  # fmt: skip
    rows = load_split("train", read_info())
    chosen = fold_of_rows(rows.labels, rows.subjects, 5, seed=0) == 0
    assert rows.subjects is not None
    assert not set(rows.subjects[chosen]) & set(rows.subjects[~chosen])
    x, y = torch.from_numpy(rows.images[~chosen]), torch.from_numpy(rows.labels[~chosen])
    network = make_network("simple_nn2", (3, 36, 40), 3, seed=1)
    epochs = train(network, x, y, lr=0.01, batch_size=5, epochs=2, shuffle=False, seed=1)
    loss, accuracy = loss_and_accuracy(network, x, y)
    assert second.train_loss == pytest.approx(loss, rel=1e-5)
    assert (second.rows, second.held_out_rows) == (len(y), chosen.sum())
    assert second.train_accuracy == accuracy
    assert second.best_loss == pytest.approx(min(e.train_loss for e in epochs), rel=1e-5)
    assert second.sharpness > 0
    before = path.read_bytes()
    run_value("learning_rate", "0.01")
    assert path.read_bytes() == before


def test_run_of_all_rows_takes_one_step_per_epoch_and_a_rate_in_proportion(
    run_value: Callable[..., None],
) -> None:
    for rule in ("linear", "fixed"):
        run_value("batch_size", "all", "--lr-rule", rule)
        for found in read_runs(paths.study_runs("batch_size", f"{rule}-all")):
            assert found.batch_size == found.rows
            factor = found.rows / 5 if rule == "linear" else 1
            assert found.lr == pytest.approx(0.01 * factor)
            assert found.steps_to_90 == found.epochs_to_90


def test_run_that_diverges_has_no_measures_of_its_last_weights(
    run_value: Callable[..., None],
) -> None:
    run_value("learning_rate", "1e+30")
    for found in read_runs(paths.study_runs("learning_rate", "1e+30")):
        assert found.diverged
        assert isnan(found.distance)
        assert isnan(found.sharpness)
        assert found.noise_scale_start > 0 or isnan(found.noise_scale_start)
        assert found.gradient_start > 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("learning_rate", "0.02"), "studies.learning_rate.values"),
        (("seed", "small"), "studies.seed.models"),
        (("batch_size", "10000"), "studies.batch_size.values"),
        (("batch_size", "all", "--lr-rule", "half"), "--lr-rule"),
        (("rates", "0.01"), "study"),
    ],
)
def test_run_of_a_value_that_cannot_be_names_what_is_wrong(
    run_value: Callable[..., None], arguments: tuple[str, ...], named: str
) -> None:
    Path("params.yaml").write_text(PARAMS.replace("[4, all]", "[4, 10000, all]"))
    with pytest.raises(InputError, match=named):
        run_value(*arguments)


def test_tables_pictures_and_claims_follow_from_the_runs(
    run_value: Callable[..., None], prepared: Path, workspace: Path, run_stage: RunStage
) -> None:
    run_value("seed", "conv")
    rows = read_runs(paths.study_runs("seed", "conv"))
    assert all(isnan(row.gradient_start) for row in rows)  # curvature is not measured
    (workspace / "data").symlink_to(prepared / "data")
    (workspace / "params.yaml").write_text(PARAMS.replace("[4, all]", "[all]"))
    changes: dict[str, dict[str, Any]] = {
        "learning_rate/0.01": {"lr": 0.01}, "learning_rate/1e+30": {"lr": 1e30},
        "batch_size/fixed-all": {"batch_size": 17}, "batch_size/linear-all": {"batch_size": 17},
        "seed/conv": {}, "seed/gone": {"model": "gone"},
    }  # fmt: skip
    for place, change in changes.items():
        values = [list(row.model_copy(update=change).model_dump().values()) for row in rows]
        write_csv(workspace / f"studies/runs/{place}.csv", list(Run.model_fields), values)
    run_stage("studies.throughput")
    run_stage("studies.results")
    assert run_stage("studies.claims").stdout.count("\n") == 26
    speeds = read_json(workspace / paths.THROUGHPUT, Throughput).runs
    assert [speed.batch_size for speed in speeds] == [23] * 2  # none is held out
    assert all(speed.images_per_second > 0 for speed in speeds)
    summary = {(r["study"], r["value"], r["measure"]): r for r in
               read_csv(workspace / paths.STUDY_SUMMARY)}  # fmt: skip
    assert {study for study, _, _ in summary} == {"seed", "learning_rate", "fixed", "linear"}
    gap = summary["linear", "17", "gap"]
    assert float(gap["mean"]) == pytest.approx((rows[0].gap + rows[1].gap) / 2)
    assert (gap["runs"], gap["without"], gap["diverged"]) == ("2", "0", "0")
    assert summary["seed", "conv", "sharpness"]["without"] == "2"
    assert ("seed", "gone", "gap") not in summary
    for picture in ("learning_rate", "batch_size", "seed"):
        assert (workspace / f"studies/plots/{picture}.png").stat().st_size > 10_000
    claims = json.loads((workspace / paths.CLAIMS).read_text())["claims"]
    assert [row["question"] for row in claims] == ["Q1"] * 12 + ["Q2"] * 14


def test_results_without_a_runs_file_name_it(stage_error: Callable[..., str]) -> None:
    assert "studies/runs/seed/conv.csv" in stage_error("studies.results")


def test_model_differences_are_real_only_beyond_the_variation_over_seeds() -> None:
    spread = np.random.default_rng(0).normal(0, 0.01, (3, 5))
    accuracies = {name: list(level + spread[i]) for i, (name, level) in
                  enumerate({"a": 0.70, "b": 0.705, "c": 0.80}.items())}  # fmt: skip
    found = {(a, b): larger for a, b, *_, larger in model_differences(accuracies)}
    assert found == {("a", "b"): False, ("a", "c"): True, ("b", "c"): True}
    for still in ({"a": [0.5] * 5, "b": [0.6] * 5}, {"a": [0.5], "b": [0.6]}):
        assert model_differences(still) == [("a", "b", 0.5, 0.6, 1.0, False)]
