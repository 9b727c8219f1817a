"""What `mri-stages sweep` prints of its experiments, and one with DVC's queue."""

import math
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest
import yaml

from mri_stages.commands.sweep import check_failures, describe_best, format_table, main
from mri_stages.config.sweep import ScoreKind, Sweep, Trial
from mri_stages.errors import ArgumentError, InputError
from mri_stages.orchestration.sweep import TrialResult
from tests.helpers.clones import GIT_AUTHOR
from tests.helpers.dvc_projects import DVC, list_processes_here, start_command
from tests.helpers.params import change_params

KEY = "models.m.lr"
SWEEP = (sys.executable, "-m", "mri_stages", "sweep")

# In place of a training: its validation loss is the learning rate.
TRAIN = """
import pathlib, sys, yaml
lr = yaml.safe_load(pathlib.Path("params.yaml").read_text())["models"]["small"]["lr"]
if lr > 5:
    sys.exit("error: too fast")
text = f"epoch,train_loss,last_batch_loss,train_accuracy,validation_loss,validation_accuracy\\n"
pathlib.Path("plots/history").mkdir(parents=True, exist_ok=True)
pathlib.Path("plots/history/small.csv").write_text(f"{text}1,1,1,1,{lr},1\\n")
"""
NAN = math.nan


def make_results(
    scores: dict[float, list[float]], failures: Collection[float] = ()
) -> list[TrialResult]:
    """Return a result for each value and seed; those of `failures` failed."""
    results = []
    for value, scores_of_value in scores.items():
        for seed, score in enumerate(scores_of_value):
            failure = "no memory" if value in failures else ""
            trial = Trial(value, seed, {}, {})
            results.append(TrialResult(trial, f"exp-{value}-{seed}", score, failure))
    return results


def make_sweep(score_kind: ScoreKind = ScoreKind.VALIDATION_LOSS) -> Sweep:
    return Sweep(KEY, "m", score_kind, [])


def describe(scores: dict[float, list[float]], kind: ScoreKind) -> str:
    return "\n".join(describe_best(make_sweep(kind), make_results(scores)))


def test_table_has_a_row_for_each_experiment() -> None:
    lines = format_table(make_sweep(), make_results({0.1: [2, 4], 0.2: [1, 1.5]}))
    cells = [line.split() for line in lines[1:]]
    assert cells == [
        ["0.1", "0", "2", "3", "2", "to", "4", "exp-0.1-0"],
        ["1", "4", "exp-0.1-1"],
        ["0.2", "0", "1", "1.25", "1", "to", "1.5", "exp-0.2-0"],
        ["1", "1.5", "exp-0.2-1"],
    ]


def test_table_of_one_seed_has_no_mean() -> None:
    lines = format_table(make_sweep(), make_results({0.1: [2], 0.2: [1]}))
    assert lines[1].split() == ["0.1", "0", "2", "exp-0.1-0"]


def test_table_names_what_failed_or_diverged() -> None:
    lines = format_table(make_sweep(), make_results({0.1: [NAN], 0.2: [NAN]}, {0.2}))
    assert "diverged" in lines[1]
    assert "failed" in lines[2]
    assert lines[2].endswith("exp-0.2-0: no memory")


def test_diverged_seed_leaves_no_mean() -> None:
    lines = format_table(make_sweep(), make_results({0.1: [NAN, 1], 0.2: [1, 1]}))
    assert lines[1].split() == ["0.1", "0", "diverged", "-", "-", "exp-0.1-0"]


def test_best_loss_is_the_lowest_and_best_auc_the_highest() -> None:
    scores = {0.1: [0.5, 0.6], 0.2: [0.7, 0.8]}
    assert "0.1 is better than 0.2" in describe(scores, ScoreKind.VALIDATION_LOSS)
    assert "0.2 is better than 0.1" in describe(scores, ScoreKind.INNER_AUC)


def test_seeds_are_compared_in_pairs() -> None:
    """The ranges overlap, but with each seed one value is below the other."""
    text = describe({0.1: [1, 5], 0.2: [2, 6]}, ScoreKind.VALIDATION_LOSS)
    assert "0.1 is better than 0.2" in text
    assert "covers" not in text


def test_seeds_that_disagree_cover_the_difference() -> None:
    text = describe({0.1: [1, 5], 0.2: [2, 4.5], 0.3: [9, 9]}, ScoreKind.VALIDATION_LOSS)
    assert "covers the difference between 0.1 and 0.2" in text
    assert "0.1 is better than 0.3" in text


def test_equal_scores_are_covered() -> None:
    assert "covers" in describe({0.1: [1, 1], 0.2: [1, 1]}, ScoreKind.VALIDATION_LOSS)


def test_best_leaves_out_a_value_with_a_diverged_seed() -> None:
    lines = describe({0.1: [NAN, 0], 0.2: [2, 4], 0.3: [5, 5]}, ScoreKind.VALIDATION_LOSS)
    assert "left out" in lines.splitlines()[0]
    assert "lowest 3 with lr 0.2" in lines


def test_single_value_with_a_score_is_compared_with_nothing() -> None:
    assert "lowest" not in describe({0.1: [NAN], 0.2: [2]}, ScoreKind.VALIDATION_LOSS)


def test_best_of_one_seed_is_better_with_no_seed() -> None:
    text = describe({0.1: [1], 0.2: [2]}, ScoreKind.VALIDATION_LOSS)
    assert "lowest 1 with lr 0.1" in text
    assert "better" not in text
    assert "--seeds" in text


def test_sweep_of_two_keys_is_refused() -> None:
    with pytest.raises(ArgumentError, match="several keys"):
        main(["models.m.lr=1", "models.m.epochs=2"])


def test_failures_end_the_command() -> None:
    check_failures(make_sweep(), make_results({0.1: [NAN]}))
    with pytest.raises(InputError):
        check_failures(make_sweep(), make_results({0.1: [1], 0.2: [NAN]}, {0.2}))


@pytest.mark.slow
def test_sweep_runs_the_queue(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIT_AUTHOR.items():
        monkeypatch.setenv(name, value)
    write_sweep_project(workspace)
    (workspace / "new.txt").touch()
    assert run_sweep(status=1) == ["error: new.txt: not committed"]
    (workspace / "new.txt").unlink()

    rows = [line.split(maxsplit=4) for line in run_sweep(status=1)]
    assert ["0.5", "3", "0.5"] in [row[:3] for row in rows]
    assert ["2", "3", "2"] in [row[:3] for row in rows]
    failed_rows = [row for row in rows if row[:3] == ["9", "3", "failed"]]
    assert [row[4] for row in failed_rows] == ["too fast"]

    # Nothing goes on, and the workspace is as it was.
    assert list_processes_here() == []
    assert subprocess.check_output(["git", "status", "--porcelain"]) == b""


def write_sweep_project(folder: Path) -> None:
    """Make the folder a committed project of the stage train@small."""
    change_params(folder, {"models.small.validation": 0.5})
    (folder / "train.py").write_text(TRAIN)
    stage = {
        "cmd": "python train.py",
        "deps": ["train.py"],
        "params": ["models.small"],
        "outs": ["plots/history/small.csv"],
    }
    stages = {"train": {"foreach": ["small"], "do": stage}}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (folder / ".gitignore").write_text("/plots/\n/.mri-stages/\n__pycache__/\n")
    for command in (
        ("git", "init", "--quiet"),
        (*DVC, "init", "--quiet"),
        ("git", "add", "--all"),
        ("git", "commit", "--quiet", "--message", "x"),
    ):
        subprocess.run(command, cwd=folder, check=True)


def run_sweep(status: int) -> list[str]:
    """Run `mri-stages sweep` of three rates, which must end with that status; return its lines."""
    process = start_command(*SWEEP, "models.small.lr=0.5,2,9")
    output, _ = process.communicate()
    assert process.returncode == status, output
    assert "Traceback" not in output
    return [line.partition(", expected a clean")[0] for line in output.splitlines()]
