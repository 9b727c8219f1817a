"""Measure ours against the notebook's recipe on this machine: `make benchmark`, 9 to 15 minutes.

Full-size rows of phantoms, both recipes in turn in the same run, medians of three rounds and their
ratios. Nothing is extrapolated. Writes benchmarks/results/cpu.json.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import N_ROWS, ROOT, count_rows_that_fit, describe_machine
from benchmarks.own_networks import measure_own_networks
from benchmarks.preparation import (
    measure_growth_with_rows,
    measure_preparation,
    measure_stored_bytes,
)
from benchmarks.processes import measure_cpu_seconds
from benchmarks.study_value import measure_study_value
from benchmarks.timing import CpuResult, DvcTiming, Timing
from benchmarks.trainings import (
    measure_evaluation,
    measure_growth_with_size,
    measure_predictions,
    measure_steps,
    measure_training_memory,
    measure_training_overhead,
)
from benchmarks.workspace import FULL_SIZE, make_workspace

RESULTS = ROOT / "benchmarks/results/cpu.json"
N_DVC_ROUNDS = 3
N_START_UP_ROUNDS = 3
STAGES_TO_IMPORT = ("load", "train", "evaluate", "compare", "export", "report")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        result = measure_all(Path(name))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(result.model_dump_json(indent=2) + "\n")
    show(result)


def measure_all(folder: Path) -> CpuResult:
    """Measure everything in workspaces inside `folder`."""
    n_rows = count_rows_that_fit()
    workspace = make_workspace(folder / "full", n_rows, FULL_SIZE)
    preparation = measure_preparation(workspace)
    stored_bytes = measure_stored_bytes(workspace, sum(n_rows.values()))

    step_ms = measure_steps(workspace)
    prediction_ms = measure_predictions(workspace)
    training_overhead = measure_training_overhead(workspace)
    evaluation = measure_evaluation(workspace)

    study_value_seconds = measure_study_value(workspace)

    growth_with_rows = measure_growth_with_rows(folder, n_rows, preparation)
    training_own_mb = measure_training_memory(folder)
    growth_with_size = measure_growth_with_size(folder, step_ms)

    return CpuResult(
        machine=describe_machine(),
        rows=n_rows,
        preparation=preparation,
        stored_bytes=stored_bytes,
        step_ms=step_ms,
        prediction_ms=prediction_ms,
        train_conv_nn4=training_overhead,
        evaluate_conv_nn2=evaluation,
        growth_with_rows=growth_with_rows,
        training_own_mb=training_own_mb,
        growth_with_size=growth_with_size,
        own_network_ms=measure_own_networks(folder),
        study_value_seconds=study_value_seconds,
        dvc_seconds=measure_dvc(),
        start_up_seconds=measure_start_up(),
    )


def measure_dvc() -> DvcTiming:
    """Return the seconds of a `dvc repro` that has nothing to do, and of `dvc --version`."""
    subprocess.run(["dvc", "repro", "--quiet"], cwd=ROOT, check=True)
    return DvcTiming(repro=time_dvc("repro"), version=time_dvc("--version"))


def time_dvc(argument: str) -> float:
    seconds = []
    for _ in range(N_DVC_ROUNDS):
        start = time.perf_counter()
        subprocess.run(["dvc", argument], cwd=ROOT, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure_start_up() -> dict[str, float]:
    """Return the CPU seconds of `mri-stages --help`, and of the imports of some stages."""
    commands = {"mri-stages --help": [sys.executable, "-m", "mri_stages", "--help"]}
    for stage in STAGES_TO_IMPORT:
        commands[f"imports of {stage}"] = [sys.executable, "-c", f"import stages.{stage}"]

    medians = {}
    for name, command in commands.items():
        seconds = [measure_cpu_seconds(*command) for _ in range(N_START_UP_ROUNDS)]
        medians[name] = round(statistics.median(seconds), 2)
    return medians


def show(content: CpuResult | Mapping[str, Any]) -> None:
    """Print a result, as it was measured or as it lies in results/cpu.json, as a table."""
    result = CpuResult.model_validate(content)
    print(result.machine.model_dump_json())
    rows = f"{result.rows['train']} + {result.rows['test']} rows of 208 x 176"
    if result.rows != N_ROWS:
        rows += ", fewer than the notebook's: its recipe wants more memory"
    print(rows)

    print(f"{'':44} {'notebook':>12} {'ours':>12} {'ratio':>8}")
    for label, timing in list_table(result).items():
        print(f"{label:44} {timing.plain:12.1f} {timing.ours:12.1f} {timing.ratio:8.1f}")

    details = result.model_dump(
        include={
            "training_own_mb",
            "train_conv_nn4",
            "evaluate_conv_nn2",
            "growth_with_rows",
            "growth_with_size",
            "own_network_ms",
            "study_value_seconds",
            "dvc_seconds",
            "start_up_seconds",
        }
    )
    for name, value in details.items():
        print(f"{name}: {json.dumps(value)}")


def list_table(result: CpuResult) -> dict[str, Timing]:
    """Return the lines of the table: a label with its unit, and the timing."""
    stored_mb = Timing(plain=result.stored_bytes.plain / 1e6, ours=result.stored_bytes.ours / 1e6)
    steps = {f"{model}, ms per step": timing for model, timing in result.step_ms.items()}
    predictions = {
        f"{model}, ms per 100 predicted rows": timing
        for model, timing in result.prediction_ms.items()
    }
    return {
        "preparation, s": result.preparation.work_seconds,
        "preparation with starts and imports, s": result.preparation.seconds,
        "preparation, own memory, MB": result.preparation.own_mb,
        "outs of load and scale in the cache, MB": stored_mb,
        **steps,
        **predictions,
    }


if __name__ == "__main__":
    main()
