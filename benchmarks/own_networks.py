"""Measure training steps of ordinary convolutional networks on colour images."""

import statistics
from pathlib import Path

import yaml

from benchmarks.preparation import load_and_scale
from benchmarks.processes import measure_step
from benchmarks.workspace import make_workspace

SIZE = (128, 128)
MODELS = {
    "small_cnn": {"arch": "small_cnn", "lr": 0.01, "batch_size": 32},
    "resnet": {"arch": "resnet", "lr": 0.01, "batch_size": 32},
}
RECIPES = ("plain", "ours", "ours_bf16")
N_ROUNDS = 3
N_STEPS = 6


def measure_own_networks(folder: Path) -> dict[str, dict[str, float]]:
    """Return milliseconds per step by model and recipe: medians over rounds of all in turn.

    All learn by SGD, as the notebook's loop does. `ours_bf16` is fast only on a processor that has
    instructions for it.
    """
    workspace = make_workspace(folder / "own", {"train": 320, "test": 32}, SIZE, is_colour=True)
    path = workspace / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["models"] |= MODELS
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    load_and_scale(workspace)
    return {model: measure_recipes(workspace, model) for model in MODELS}


def measure_recipes(workspace: Path, model: str) -> dict[str, float]:
    rounds: dict[str, list[float]] = {recipe: [] for recipe in RECIPES}
    for _ in range(N_ROUNDS):
        for recipe in RECIPES:
            rounds[recipe].append(measure_step(workspace, model, recipe, N_STEPS))
    return {recipe: statistics.median(times) for recipe, times in rounds.items()}
