"""Measure steps and predictions of both recipes, and what a stage costs beside its steps."""

from functools import partial
from pathlib import Path

from benchmarks.preparation import load_and_scale
from benchmarks.processes import (
    ProcessCost,
    measure_in_turn,
    measure_module,
    measure_prediction,
    measure_step,
    measure_steps_in_turn,
)
from benchmarks.timing import SizeTiming, Timing
from benchmarks.workspace import FULL_SIZE, HALF_SIZE, make_workspace
from mri_stages.models import make_network
from mri_stages.storage.dataset import Info
from mri_stages.storage.history import Epoch, write_history
from mri_stages.storage.weights import save_weights

# The measured steps of each model: about one to three seconds of work.
N_STEPS = {"simple_nn1": 6, "simple_nn2": 40, "conv_nn1": 3, "conv_nn2": 25}
RECIPES = ("plain", "ours")
DIVERGING_MODEL = "conv_nn4"  # ours ends in its first epoch, the notebook's recipe trains on
WIDEST_MODELS = ("simple_nn1", "conv_nn1")


def measure_steps(folder: Path) -> dict[str, Timing]:
    """Return the milliseconds per step by model: medians over rounds of both recipes in turn."""
    return {model: measure_model_steps(folder, model) for model in N_STEPS}


def measure_model_steps(folder: Path, model: str) -> Timing:
    return Timing(**measure_steps_in_turn(folder, model, RECIPES, N_STEPS[model]))


def measure_predictions(folder: Path) -> dict[str, Timing]:
    """Return the milliseconds per 100 predicted rows by model: medians of rounds of both."""
    return {
        model: Timing(**measure_in_turn(RECIPES, partial(measure_prediction, folder, model)))
        for model in N_STEPS
    }


def measure_training_overhead(folder: Path) -> ProcessCost:
    """Return what a training costs beside its steps, by a model that diverges at once."""
    return measure_module(folder, "stages.train", DIVERGING_MODEL)


def measure_evaluation(folder: Path) -> ProcessCost:
    """Measure evaluate@conv_nn2 with untrained weights."""
    info = Info.model_validate_json((folder / "data/flat/info.json").read_bytes())
    network = make_network("conv_nn2", info.image_shape, len(info.classes), seed=0)
    save_weights(folder / "models/conv_nn2.safetensors", network)
    write_history(folder / "plots/history/conv_nn2.csv", [Epoch(1, 1.0, 1.0, 0.5)])
    return measure_module(folder, "stages.evaluate", "conv_nn2")


def measure_training_memory(folder: Path) -> dict[str, float]:
    """Return the peak of own memory, MB, of training the widest layers; few rows of full size."""
    workspace = make_workspace(folder / "memory", {"train": 300, "test": 10}, FULL_SIZE)
    load_and_scale(workspace)
    return {
        model: measure_module(workspace, "stages.train", model).own_mb for model in WIDEST_MODELS
    }


def measure_growth_with_size(folder: Path, step_ms: dict[str, Timing]) -> dict[str, SizeTiming]:
    """Return the milliseconds per step of two models at half the side, and as in `step_ms`."""
    workspace = make_workspace(folder / "half", {"train": 700, "test": 10}, HALF_SIZE)
    load_and_scale(workspace)
    return {
        model: SizeTiming(
            half_size=measure_step(workspace, model, "ours", N_STEPS[model]),
            full_size=step_ms[model].ours,
        )
        for model in ("simple_nn2", "conv_nn2")
    }
