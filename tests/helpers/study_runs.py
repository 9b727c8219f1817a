"""Runs of a study whose verdict is plain to see."""

from collections.abc import Callable
from functools import partial
from typing import Any

from mri_stages.studies.records import Run

SEEDS = range(5)


def make_run(seed: int = 0, **measures: Any) -> Run:
    """Return a run that learned, with the given measures."""
    values = {
        "model": "net", "lr": 0.1, "batch_size": 10, "rows": 80, "held_out_rows": 20,
        "diverged": False, "constant_loss": 1.0, "start_loss": 1.4, "train_loss": 0.5,
        "held_out_loss": 0.6, "train_accuracy": 0.8, "held_out_accuracy": 0.7 + seed / 1000,
        "gap": 0.1, "lowest_loss": 0.5, "epochs_to_90": 3, "steps_to_90": 30, "largest_rise": 0.0,
        "overshoots": False, "turns": 0, "distance": 1.0, "gradient_start": 1.0,
        "noise_scale_start": 5.0, "gradient_end": 0.5, "noise_scale_end": 50.0, "sharpness": 5.0,
    }  # fmt: skip
    return Run.model_validate(values | {"seed": seed} | measures)


def make_runs(key: str, *values: float, **measures: Callable[[Any, int], Any]) -> list[Run]:
    """Return five seeds of each value; a measure is a function of value and seed."""
    runs = []
    for value in values:
        for seed in SEEDS:
            seed_measures = {name: compute(value, seed) for name, compute in measures.items()}
            runs.append(make_run(seed, **{key: value}, **seed_measures))
    return runs


make_rate_runs = partial(make_runs, "lr", 0.001, 0.01, 0.1, 1.0)
make_size_runs = partial(make_runs, "batch_size", 1, 10, 100)
