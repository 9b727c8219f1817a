"""Measure ours against the notebook's loop on this machine's GPU: `make benchmark-gpu`.

Full-size rows of phantoms; the recipes of benchmarks/steps.py in turn, medians in milliseconds per
step, and what a whole training takes. Writes benchmarks/results/gpu.json.
"""

import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.machine import N_ROWS, ROOT, Machine, describe_machine
from benchmarks.preparation import load_and_scale
from benchmarks.processes import ProcessCost, measure_module, measure_steps_in_turn
from benchmarks.steps import RECIPES
from benchmarks.timing import Record
from benchmarks.workspace import FULL_SIZE, make_workspace
from mri_stages.training.device import has_gpu

RESULTS = ROOT / "benchmarks/results/gpu.json"
N_STEPS = {"simple_nn1": 50, "simple_nn2": 300, "conv_nn1": 50, "conv_nn2": 300}


class GpuModelResult(Record):
    step_ms: dict[str, float]  # by recipe
    train: ProcessCost


class GpuResult(Record):
    """The content of results/gpu.json."""

    gpu: str
    cuda: str
    machine: Machine
    models: dict[str, GpuModelResult]


def main() -> None:
    if not has_gpu():
        sys.exit("error: no CUDA device here, expected one; `make benchmark` measures the CPU")
    with tempfile.TemporaryDirectory() as name:
        n_rows = {"train": N_ROWS["train"], "test": 10}
        workspace = make_workspace(Path(name) / "full", n_rows, FULL_SIZE)
        load_and_scale(workspace)
        models = {model: measure_model(workspace, model) for model in N_STEPS}
    result = GpuResult(
        gpu=torch.cuda.get_device_name(),
        cuda=str(torch.version.cuda),
        machine=describe_machine(),
        models=models,
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(result.model_dump_json(indent=2) + "\n")


def measure_model(workspace: Path, model: str) -> GpuModelResult:
    """Return the milliseconds per step of all recipes, in turn, and a training of ours."""
    step_ms = measure_steps_in_turn(workspace, model, RECIPES, N_STEPS[model])
    print(model, {recipe: round(ms, 3) for recipe, ms in step_ms.items()})
    return GpuModelResult(step_ms=step_ms, train=measure_module(workspace, "stages.train", model))


if __name__ == "__main__":
    main()
