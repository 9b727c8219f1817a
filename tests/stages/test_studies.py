"""The studies' stages as their real commands on a tiny raw folder."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import PARAMS, RunStage, load_npy, run_stage_in, write_raw

SIZES = ("4", "all")
SEEDS = ("0", "1")


def cell_of(folder: Path, out: str, *arguments: str) -> dict[str, Any]:
    done = run_stage_in(folder, "study_cell", *arguments, "--out", out)
    assert done.returncode == 0, done.stderr
    cell: dict[str, Any] = json.loads((folder / out).read_text())
    return cell


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose rows are scaled and held out, to read."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "params.yaml").write_text(PARAMS)
    write_raw(folder / "data/raw")
    for stage in ("load", "scale", "held_out"):
        done = run_stage_in(folder, stage)
        assert done.returncode == 0, done.stderr
    return folder


def test_whole_subjects_are_held_out(prepared: Path) -> None:
    held_out = load_npy(prepared / "studies/held_out.npy")
    subjects = load_npy(prepared / "data/flat/subjects_train.npy")
    assert held_out.dtype == bool
    assert 2 <= held_out.sum() <= 9
    assert not set(subjects[held_out]) & set(subjects[~held_out])


def test_a_cell_is_a_training_on_the_other_rows_and_repeats_to_the_byte(prepared: Path) -> None:
    arguments = ("small", "--seed", "1", "--curvature")
    cell = cell_of(prepared, "a.json", *arguments)
    cell_of(prepared, "b.json", *arguments)
    assert (prepared / "a.json").read_bytes() == (prepared / "b.json").read_bytes()
    held_out = load_npy(prepared / "studies/held_out.npy")
    labels = load_npy(prepared / "data/flat/y_train.npy")[~held_out]
    assert (cell["rows"], cell["held_out_rows"]) == ((~held_out).sum(), held_out.sum())
    shares = np.bincount(labels) / len(labels)
    assert cell["constant_loss"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert (cell["lr"], cell["batch_size"], cell["seed"]) == (0.01, 5, 1)
    assert cell["gap"] == pytest.approx(cell["train_accuracy"] - cell["held_out_accuracy"])
    losses = [epoch["train_loss"] for epoch in cell["history"]]
    assert len(losses) == 2
    assert cell["best_loss"] == min(losses)
    assert cell["largest_rise"] == max(0, losses[1] - losses[0])
    assert cell["train_loss"] < cell["start_loss"]
    assert cell["sharpness"] > 0
    assert cell["distance"] > 0
    reached = cell["train_accuracy"] >= 0.9 and cell["epochs_to_90"]
    if cell["epochs_to_90"] != "never":
        assert reached
        assert cell["steps_to_90"] == cell["epochs_to_90"] * math.ceil(cell["rows"] / 5)
    assert cell_of(prepared, "c.json", "small", "--seed", "2")["train_loss"] != cell["train_loss"]


def test_the_whole_set_is_one_step_and_the_rate_can_follow_the_batch(prepared: Path) -> None:
    cell = cell_of(
        prepared, "d.json", "small", "--seed", "0", "--batch-size", "all", "--lr-rule", "linear"
    )
    assert cell["batch_size"] == cell["rows"]
    assert cell["lr"] == pytest.approx(0.01 * cell["rows"] / 5)


def test_a_batch_of_more_rows_than_there_are_is_one_line(prepared: Path) -> None:
    arguments = ("study_cell", "small", "--seed", "0", "--batch-size", "10000", "--out", "e.json")
    done = run_stage_in(prepared, *arguments)
    assert done.returncode == 1
    assert "10000, more than the 17 rows" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_diverged_cell_has_no_measures_of_its_last_weights(prepared: Path) -> None:
    cell = cell_of(prepared, "f.json", "small", "--seed", "0", "--lr", "1e30", "--curvature")
    assert cell["diverged"] is True
    assert cell["epochs_to_90"] == "never"
    gone = {"train_loss", "held_out_loss", "distance", "sharpness", "noise_scale_end"}
    assert not gone & set(cell)
    assert {"start_loss", "noise_scale_start", "train_accuracy"} <= set(cell)


def test_tables_pictures_and_claims_are_made_of_the_cells(
    prepared: Path, run_stage: RunStage, workspace: Path
) -> None:
    (workspace / "data").symlink_to(prepared / "data")
    (workspace / "studies").mkdir()
    (workspace / "studies/held_out.npy").symlink_to(prepared / "studies/held_out.npy")
    cells = Path("studies/cells")
    small = ["small", "--curvature", "--seed"]
    one = cell_of(workspace, "one.json", *small, "0")
    for seed in SEEDS:  # what is asked here is whether each cell lands in its place
        places: dict[str, dict[str, Any]] = {f"seed/conv-{seed}": {"model": "conv"}}
        places |= {f"learning_rate/{lr}-{seed}": {"lr": lr} for lr in (0.01, 1e30)}
        for rule in ("fixed", "linear"):
            for size in SIZES:
                batch_size = one["rows"] if size == "all" else int(size)
                places[f"batch_size/{rule}-{size}-{seed}"] = {"batch_size": batch_size}
        places["seed/gone-0"] = {"model": "of a model that is no longer named"}
        for name, keys in places.items():
            path = workspace / cells / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({**one, **keys, "seed": int(seed)}))
    run_stage("study_throughput")
    run_stage("study_results")
    said = run_stage("claims").stdout
    assert said.count("\n") == 26
    throughput = json.loads((workspace / "studies/throughput.json").read_text())["runs"]
    assert [entry["batch_size"] for entry in throughput] == [4, 23] * 2
    assert all(entry["images_per_second"] > 0 for entry in throughput)
    with (workspace / "studies/cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["study"] for row in rows] == (
        ["seed"] * 2 + ["learning_rate"] * 4 + ["fixed"] * 4 + ["linear"] * 4
    )
    assert float(rows[0]["sharpness"]) == one["sharpness"]
    with (workspace / "studies/summary.csv").open() as file:
        summary = {(r["study"], r["value"], r["measure"]): r for r in csv.DictReader(file)}
    assert float(summary["fixed", "4", "gap"]["mean"]) == pytest.approx(one["gap"])
    assert summary["fixed", "4", "gap"]["cells"] == "2"
    for picture in ("learning_rate", "batch_size", "seed"):
        assert (workspace / f"studies/plots/{picture}.png").stat().st_size > 10_000
    rows_of_claims = json.loads((workspace / "studies/claims.json").read_text())["claims"]
    assert {row["question"] for row in rows_of_claims} == {"Q1", "Q2"}


def test_a_missing_cell_or_wrong_argument_is_one_line(stage_error: Callable[..., str]) -> None:
    assert "studies/cells/seed/conv-0.json: no such file" in stage_error("study_results")
    cell = ("study_cell", "--seed", "0", "--out", "x.json")
    assert "no 'smal', expected one of small, conv" in stage_error(*cell, "smal")
    assert "--batch-size" in stage_error(*cell, "small", "--batch-size", "half")
    assert "no such file" in stage_error(*cell, "small")
    assert "no such file" in stage_error("held_out")
