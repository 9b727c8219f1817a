"""Measure load and scale, which write files, against the notebook's preparation in memory."""

import shutil
import statistics
from collections.abc import Iterable
from pathlib import Path

from benchmarks.processes import ProcessCost, measure_module
from benchmarks.timing import Preparation, PreparationRuns, RowsTiming, Timing, take_medians
from benchmarks.workspace import FULL_SIZE, N_CHANNELS, count_bytes, make_workspace

N_ROUNDS = 3
FLOAT32_BYTES = 4
ROW_DIVISORS = (4, 2)  # a quarter and half of the rows


def load_and_scale(folder: Path) -> list[ProcessCost]:
    return [measure_module(folder, "stages.load"), measure_module(folder, "stages.scale")]


def warm_page_cache(folder: Path) -> None:
    """Read the raw files once, so that no measurement waits for the disk."""
    measure_module(folder, "stages.load")


def measure_preparation(folder: Path) -> Preparation:
    """Run ours and the plain recipe in turn; return their medians and the runs."""
    warm_page_cache(folder)
    ours = []
    plain = []
    for _ in range(N_ROUNDS):
        ours.append(load_and_scale(folder))
        plain.append([measure_module(folder, "benchmarks.notebook", "data/raw")])
    return Preparation(
        work_seconds=take_medians(
            [sum_work_seconds(run) for run in plain], [sum_work_seconds(run) for run in ours]
        ),
        seconds=take_medians(
            [sum_seconds(run) for run in plain], [sum_seconds(run) for run in ours]
        ),
        own_mb=Timing(plain=find_peak_mb(plain), ours=find_peak_mb(ours)),
        runs=PreparationRuns(plain=plain, ours=ours),
    )


def sum_seconds(run: Iterable[ProcessCost]) -> float:
    return sum(process.seconds for process in run)


def sum_work_seconds(run: Iterable[ProcessCost]) -> float:
    return sum(process.work_seconds for process in run)


def find_peak_mb(runs: Iterable[list[ProcessCost]]) -> float:
    return max(max(process.own_mb for process in run) for run in runs)


def measure_stored_bytes(folder: Path, n_rows: int) -> Timing:
    """Return the bytes of the outs of load and scale, and of the same rows as plain float32."""
    ours = count_bytes(folder / "data") - count_bytes(folder / "data/raw")
    height, width = FULL_SIZE
    row_bytes = N_CHANNELS * height * width * FLOAT32_BYTES
    return Timing(plain=2 * n_rows * row_bytes, ours=ours)  # stored, and scaled


def measure_growth_with_rows(
    folder: Path, n_rows: dict[str, int], preparation: Preparation
) -> list[RowsTiming]:
    """Return the seconds of load and scale for a quarter, half and all of the rows."""
    timings = []
    for divisor in ROW_DIVISORS:
        fewer_rows = {split: n // divisor for split, n in n_rows.items()}
        workspace = make_workspace(folder / f"rows-{divisor}", fewer_rows, FULL_SIZE)
        warm_page_cache(workspace)
        seconds = statistics.median(
            sum_work_seconds(load_and_scale(workspace)) for _ in range(N_ROUNDS)
        )
        timings.append(RowsTiming(rows=sum(fewer_rows.values()), load_and_scale_seconds=seconds))
        shutil.rmtree(workspace)

    all_rows = sum(n_rows.values())
    seconds = preparation.work_seconds.ours
    timings.append(RowsTiming(rows=all_rows, load_and_scale_seconds=seconds))
    return timings
