"""Measure ours against the notebook's loop on this machine's GPU: `make benchmark-gpu`.

Full-size rows of phantoms; both loops in turn, medians and their ratios. Writes
benchmarks/results/gpu.json.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.cpu import ROUNDS, machine, measured, start_steps, step_ms, workspace
from src.training.device import has_gpu

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
            times: dict[str, list[float]] = {"plain": [], "ours": []}
            for _ in range(ROUNDS):
                for recipe, of_all in times.items():
                    of_all.append(step_ms(start_steps(model, recipe, folder, 2, n_steps)))
            plain, ours = (statistics.median(of_all) for of_all in times.values())
            result[model] = {"plain_ms": plain, "ours_ms": ours, "ratio": plain / ours}
            print(f"{model}: {plain:.3f} ms, ours {ours:.3f} ms per step, {plain / ours:.1f} times")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
