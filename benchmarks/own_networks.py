"""Measure training steps of ordinary convolutional networks on colour images."""

from pathlib import Path

from benchmarks.preparation import load_and_scale
from benchmarks.processes import measure_steps_in_turn
from benchmarks.workspace import edit_params, make_workspace

SIZE = (128, 128)
MODELS = {
    "small_cnn": {"arch": "small_cnn", "lr": 0.01, "batch_size": 32},
    "resnet": {"arch": "resnet", "lr": 0.01, "batch_size": 32},
}
RECIPES = ("plain", "ours", "ours_bf16")
N_STEPS = 6


def measure_own_networks(folder: Path) -> dict[str, dict[str, float]]:
    """Return milliseconds per step by model and recipe: medians over rounds of all in turn.

    All learn by SGD, as the notebook's loop does. `ours_bf16` is fast only on a processor that has
    instructions for it.
    """
    workspace = make_workspace(folder / "own", {"train": 320, "test": 32}, SIZE, is_colour=True)
    with edit_params(workspace) as params:
        params["models"] |= MODELS
    load_and_scale(workspace)
    return {model: measure_steps_in_turn(workspace, model, RECIPES, N_STEPS) for model in MODELS}
