"""Runs whose verdict is plain to see."""

from typing import Any

from src.studies.runs import Run

SEEDS = range(5)


def made_up(seed: int = 0, **measures: Any) -> Run:
    """Return a run that learned; only what a test names differs."""
    values = {
        "model": "net", "lr": 0.1, "batch_size": 10, "rows": 80, "held_out_rows": 20,
        "diverged": False, "constant_loss": 1.0, "start_loss": 1.4, "train_loss": 0.5,
        "held_out_loss": 0.6, "train_accuracy": 0.8, "held_out_accuracy": 0.7 + seed / 1000,
        "gap": 0.1, "best_loss": 0.5, "epochs_to_90": 3, "steps_to_90": 30, "largest_rise": 0.0,
        "overshoots": False, "turns": 0, "distance": 1.0, "gradient_start": 1.0,
        "noise_scale_start": 5.0, "gradient_end": 0.5, "noise_scale_end": 50.0, "sharpness": 5.0,
    }  # fmt: skip
    return Run.model_validate(values | {"seed": seed} | measures)


def by_rate(**measures: Any) -> list[Run]:
    """Rates 0.001 to 1, five seeds each; a measure is a function of rate and seed."""
    return [
        made_up(seed, lr=lr, **{name: f(lr, seed) for name, f in measures.items()})
        for lr in (0.001, 0.01, 0.1, 1.0)
        for seed in SEEDS
    ]


def by_size(**measures: Any) -> list[Run]:
    return [
        made_up(seed, batch_size=size, **{name: f(size, seed) for name, f in measures.items()})
        for size in (1, 10, 100)
        for seed in SEEDS
    ]
