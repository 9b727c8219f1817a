"""Run a stage or a recipe in a process of its own, as DVC does, and measure it."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from benchmarks.machine import ROOT

N_ROUNDS = 3  # of each recipe
SECONDS_BETWEEN_READINGS = 0.01  # of the memory


class ProcessCost(BaseModel):
    """What a process took."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    work_seconds: float  # without the start of Python and the imports
    own_mb: float  # peak of Linux's RssAnon, which does not count the pages of mapped files


def measure_module(folder: Path, module: str, *arguments: str) -> ProcessCost:
    """Run `module.main()` in a process in `folder`; return what it took."""
    code = (
        f"import time, {module} as module; start = time.perf_counter(); module.main(); "
        "print(time.perf_counter() - start)"
    )
    start = time.perf_counter()
    process = start_python(folder, "-c", code, *arguments)
    peak_kb = 0
    while process.poll() is None:
        peak_kb = max(peak_kb, read_own_kb(process.pid))
        time.sleep(SECONDS_BETWEEN_READINGS)
    seconds = time.perf_counter() - start
    work_seconds = read_last_number(process)
    return ProcessCost(seconds=seconds, work_seconds=work_seconds, own_mb=peak_kb / 1024)


def measure_step(folder: Path, model: str, recipe: str, n_steps: int) -> float:
    """Return the milliseconds per training step that `benchmarks.steps` prints."""
    process = start_python(folder, "-m", "benchmarks.steps", model, recipe, str(n_steps))
    return read_last_number(process)


def measure_prediction(folder: Path, model: str, recipe: str) -> float:
    """Return the milliseconds per 100 predicted rows that `benchmarks.predictions` prints."""
    process = start_python(folder, "-m", "benchmarks.predictions", model, recipe)
    return read_last_number(process)


def measure_steps_in_turn(
    folder: Path, model: str, recipes: Iterable[str], n_steps: int
) -> dict[str, float]:
    """Return the milliseconds per step by recipe: medians over rounds of all in turn."""
    return measure_in_turn(recipes, lambda recipe: measure_step(folder, model, recipe, n_steps))


def measure_in_turn(recipes: Iterable[str], measure: Callable[[str], float]) -> dict[str, float]:
    """Return what `measure` returns by recipe: medians over rounds of all in turn."""
    rounds: dict[str, list[float]] = {recipe: [] for recipe in recipes}
    for _ in range(N_ROUNDS):
        for recipe, figures in rounds.items():
            figures.append(measure(recipe))
    return {recipe: statistics.median(figures) for recipe, figures in rounds.items()}


def measure_cpu_seconds(*command: str) -> float:
    """Run a command in the project; return the CPU seconds of it and of its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def start_python(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
    )


def read_own_kb(process_id: int) -> int:
    """Return the memory of a process without mapped files; 0 without Linux, or once it ended."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0])
    except (OSError, IndexError):
        return 0


def read_last_number(process: subprocess.Popen[str]) -> float:
    """Wait for a process; return the number in the last line that it printed."""
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"error: {process.args!r} failed")
    return float(output.splitlines()[-1])
