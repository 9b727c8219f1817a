"""Measure ours against the notebook's loop on this machine's GPU: `make benchmark-gpu`.

Full-size rows of phantoms; the recipes of benchmarks/steps.py in turn, medians in milliseconds per
step, and the seconds of a whole training. Writes benchmarks/results/gpu.json.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from benchmarks.cpu import ROUNDS, machine, measured, start_steps, step_ms, workspace
from benchmarks.steps import RECIPES

from mri_stages.training.device import has_gpu

RESULTS = Path(__file__).parent / "results/gpu.json"
STEPS = {"simple_nn1": 50, "simple_nn2": 300, "conv_nn1": 50, "conv_nn2": 300}


def main() -> None:
    if not has_gpu():
        sys.exit("error: no CUDA device here, expected one; `make benchmark` measures the CPU")
    result = {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda, **machine()}
    with tempfile.TemporaryDirectory() as name:
        folder = workspace(Path(name) / "full", {"train": 5121, "test": 10}, 208, 176)
        for stage in ("load", "scale"):
            measured(folder, f"stages.{stage}")
        for model, n_steps in STEPS.items():
            times: dict[str, list[float]] = {recipe: [] for recipe in RECIPES}
            for _ in range(ROUNDS):
                for recipe, of_all in times.items():
                    of_all.append(step_ms(start_steps(model, recipe, folder, 2, n_steps)))
            found = {f"{recipe}_ms": statistics.median(times[recipe]) for recipe in RECIPES}
            result[model] = {**found, "train": measured(folder, "stages.train", model)}
            print(model, {name: round(ms, 3) for name, ms in found.items()})
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
