"""Measure a value of a study: five seeds that share the products of their rows, and one by one."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import measure_module
from benchmarks.timing import StudyTiming
from benchmarks.workspace import edit_params

STUDY = "learning_rate"
VALUE = 0.01
SEEDS = (0, 1, 2, 3, 4)
N_EPOCHS = 10


def measure_study_value(workspace: Path) -> StudyTiming:
    """Return the seconds of work of five trainings, in a workspace of scaled rows."""
    shared = run_value(workspace, SEEDS)
    one_by_one = sum(run_value(workspace, [seed]) for seed in SEEDS)
    return StudyTiming(one_by_one=one_by_one, shared=shared)


def run_value(workspace: Path, seeds: Sequence[int]) -> float:
    with edit_params(workspace) as params:
        params["train"]["epochs"] = N_EPOCHS
        params["studies"][STUDY] |= {"values": [VALUE], "seeds": list(seeds)}
    return measure_module(workspace, "stages.studies.run", STUDY, str(VALUE)).work_seconds
