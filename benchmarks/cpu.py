"""Measure ours against the notebook's recipe on this machine: `make benchmark`, 6 to 12 minutes.

Full-size rows of phantoms, both recipes in turn in the same run, medians and their ratios. Figures
that are extrapolated from some steps to a whole run say so. Writes benchmarks/results/cpu.json.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.ingest.phantoms import CLASSES, draw_phantoms
from mri_stages.ingest.raw_folder import save_labels, save_tensor
from mri_stages.models import make_network
from mri_stages.storage.files import write_csv
from mri_stages.storage.history import Epoch
from mri_stages.storage.weights import save_weights

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/cpu.json"
ROWS = {"train": 5121, "test": 1279}
NOTEBOOK_BYTES_PER_ROW = 1.9e6  # 11.6 GB at its peak for 6400 rows, with the files that it reads
STEPS = {"simple_nn1": 6, "simple_nn2": 40, "conv_nn1": 3, "conv_nn2": 25}
ROUNDS = 2
ALONE, PAIRED = "ours, one thread", "ours, one thread, two at once"


def main() -> None:
    params = read_params()
    result: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as name:
        full = workspace(Path(name) / "full", rows_that_fit(), 208, 176)
        result["rows"] = rows_that_fit()
        result["preparation"] = preparation(full)
        result["stored bytes"] = stored_bytes(full)
        result["milliseconds per step"] = {m: step_times(m, full) for m in STEPS}
        # It diverges at once: what is left is what every training costs beside its steps.
        result["train conv_nn4"] = measured(full, "stages.train", "conv_nn4")
        result["evaluate conv_nn2"] = evaluation(full)
        result["all six trainings, extrapolated"] = all_six(params, result)
        result["seconds of load + scale by rows"] = {
            **growth_with_rows(Path(name)),
            str(sum(rows_that_fit().values())): result["preparation"]["ours"]["work_seconds"],
        }
        result["own memory of training, MB"] = training_memory(Path(name))
        result["milliseconds per step by image size"] = growth_with_size(
            Path(name), result["milliseconds per step"]
        )
    result["dvc"] = dvc_overhead()
    result["one learning rate changed, extrapolated"] = one_change(params, result)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    show(result)


def machine() -> dict[str, Any]:
    cpus = Path("/proc/cpuinfo")
    models = [
        line.split(":")[1].strip()
        for line in (cpus.read_text().splitlines() if cpus.exists() else [])
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory_bytes() / 1e9, 1),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scikit-learn", "dvc")},
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
        ).stdout.strip(),
    }


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def rows_that_fit() -> dict[str, int]:
    """Return the rows of each split: the notebook's preparation needs 12 GB at full size."""
    share = min(1.0, 0.7 * memory_bytes() / (sum(ROWS.values()) * NOTEBOOK_BYTES_PER_ROW))
    return {split: int(n * share) for split, n in ROWS.items()}


def workspace(folder: Path, rows: dict[str, int], height: int, width: int) -> Path:
    """Make a folder with params.yaml and a raw folder of phantoms, the same few repeated."""
    images, labels = draw_phantoms(10, 32, height, width, seed=0)
    flat = images.reshape(-1, height, width)
    raw = folder / "data/raw"
    raw.mkdir(parents=True)
    order = np.random.default_rng(0)
    chosen = {split: order.integers(len(flat), size=n) for split, n in rows.items()}
    for split, index in chosen.items():
        grey = torch.from_numpy(flat[index]).float() / 255
        save_tensor(raw / f"{split}_data.pt", grey[:, None].repeat(1, 3, 1, 1))
    save_labels(raw, CLASSES, {split: labels[index // 32] for split, index in chosen.items()}, {})
    params = (ROOT / "params.yaml").read_text()
    for old, new in (("raw: data/sample", "raw: data/raw"), ("epochs: 10", "epochs: 1")):
        params = params.replace(old, new)
    (folder / "params.yaml").write_text(params)
    return folder


def measured(folder: Path, module: str, *arguments: str) -> dict[str, float]:
    """Run `module.main()` in a process in `folder`; return its seconds and its peak of own memory.

    `work_seconds` are without the start of Python and the imports. Own memory is Linux's RssAnon,
    read every 10 ms: it does not count the pages of mapped files.
    """
    code = (
        f"import time, {module} as module; start = time.perf_counter(); module.main(); "
        "print(time.perf_counter() - start)"
    )
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, int(status.split("RssAnon:")[1].split()[0]))
        except (OSError, IndexError):
            pass  # no Linux, or it has just ended
        time.sleep(0.01)
    seconds = time.perf_counter() - started
    said, _ = process.communicate()
    if process.returncode:
        sys.exit(f"error: {module} {' '.join(arguments)} failed")
    return {
        "seconds": seconds,
        "work_seconds": float(said.splitlines()[-1]),
        "own_mb": peak / 1024,
    }


def preparation(folder: Path) -> dict[str, Any]:
    """Measure load + scale, which write files, against the notebook's preparation in memory."""
    ours, plain = [], []
    measured(folder, "stages.load")  # reads the files into the page cache
    for _ in range(3):
        ours.append([measured(folder, f"stages.{stage}") for stage in ("load", "scale")])
        plain.append([measured(folder, "benchmarks.notebook", "data/raw")])

    def median(runs: list[list[dict[str, float]]], key: str) -> float:
        return statistics.median(sum(process[key] for process in run) for run in runs)

    return {
        recipe: {
            "work_seconds": median(runs, "work_seconds"),
            "seconds": median(runs, "seconds"),
            "own_mb": max(process["own_mb"] for run in runs for process in run),
            "runs": runs,
        }
        for recipe, runs in {"plain": plain, "ours": ours}.items()
    }


def stored_bytes(folder: Path) -> dict[str, int]:
    """Return the bytes of the outs of load and scale, and what they are as plain float32."""
    ours = sum(
        path.stat().st_size
        for path in (folder / "data").rglob("*")
        if path.is_file() and "raw" not in path.parts
    )
    return {"ours": ours, "plain": 2 * sum(rows_that_fit().values()) * 3 * 208 * 176 * 4}


def evaluation(folder: Path) -> dict[str, float]:
    """Measure evaluate@conv_nn2 with untrained weights."""
    network = make_network("conv_nn2", (3, 208, 176), len(CLASSES), seed=0)
    save_weights(folder / "models/conv_nn2.safetensors", network)
    write_csv(folder / "plots/history/conv_nn2.csv", Epoch._fields, [Epoch(0, 1.0, 1.0, 0.5)])
    return measured(folder, "stages.evaluate", "conv_nn2")


def start_steps(
    model: str, recipe: str, folder: Path, threads: int, n_steps: int
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.steps", model, recipe, str(n_steps)),
            *("--threads", str(threads)),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
    )


def step_ms(process: subprocess.Popen[str]) -> float:
    """Return what `benchmarks.steps` printed: milliseconds per step."""
    said, _ = process.communicate()
    if process.returncode:
        sys.exit(f"error: {process.args!r} failed")
    return float(said.splitlines()[-1])


def step_times(model: str, folder: Path) -> dict[str, float]:
    """Return medians over rounds in which plain, ours, one thread, and two at once take turns."""
    rounds: dict[str, list[float]] = {"plain": [], "ours": [], ALONE: [], PAIRED: []}
    n_steps = STEPS[model]
    for _ in range(ROUNDS):
        rounds["plain"].append(step_ms(start_steps(model, "plain", folder, 2, n_steps)))
        rounds["ours"].append(step_ms(start_steps(model, "ours", folder, 2, n_steps)))
        rounds[ALONE].append(step_ms(start_steps(model, "ours", folder, 1, n_steps)))
        both = [start_steps(model, "ours", folder, 1, n_steps) for _ in range(2)]
        rounds[PAIRED].append(max(step_ms(process) for process in both))
    times = {recipe: statistics.median(of_all) for recipe, of_all in rounds.items()}
    return {**times, "ratio": times["plain"] / times["ours"]}


def all_six(params: Params, result: dict[str, Any]) -> dict[str, float]:
    """Return the seconds of all epochs of the six models, from the measured steps.

    conv_nn3 and conv_nn4 are conv_nn2's network; conv_nn4 diverges at once, so ours ends there
    where the notebook's trains on. To each of ours is added what its stage takes beside the steps:
    the start of a process, hashing and writing.
    """
    steps, beside = result["milliseconds per step"], result["train conv_nn4"]["seconds"]
    seconds: dict[str, list[float]] = {recipe: [] for recipe in ("plain", "ours", ALONE, PAIRED)}
    for name in reversed(params.models):  # as mri-stages repro starts them
        recipe_ = params.models[name]
        n_steps = recipe_.epochs * -(-rows_that_fit()["train"] // recipe_.batch_size)
        times = steps[name if name in steps else "conv_nn2"]
        for recipe, of_all in seconds.items():
            if recipe == "plain":
                of_all.append(n_steps * times[recipe] / 1000)
            else:
                of_all.append(beside + (name != "conv_nn4") * n_steps * times[recipe] / 1000)
    plain, ours = sum(seconds["plain"]), sum(seconds["ours"])
    together = two_at_once(seconds[ALONE], seconds[PAIRED])
    return {
        "plain_seconds": plain,
        "ours_seconds": ours,
        "two_at_once_seconds": together,
        "ratio": plain / ours,
        "ratio, two at once": plain / together,
    }


def two_at_once(alone: list[float], paired: list[float]) -> float:
    """Return the seconds until all trainings are done that start in this order, two at a time.

    `alone` and `paired`: seconds of each without and with another beside it.
    """
    waiting = list(zip(alone, paired, strict=True))
    running: list[tuple[float, tuple[float, float]]] = []  # the share left, and the seconds
    clock = 0.0
    while waiting or running:
        while waiting and len(running) < 2:
            running.append((1.0, waiting.pop(0)))
        beside = len(running) - 1
        passed = min(left * seconds[beside] for left, seconds in running)
        clock += passed
        running = [(left - passed / seconds[beside], seconds) for left, seconds in running]
        running = [(left, seconds) for left, seconds in running if left > 1e-9]
    return clock


def growth_with_rows(folder: Path) -> dict[str, float]:
    """Return the seconds of load + scale, without imports, for a quarter and half of the rows."""
    grown = {}
    for part in (4, 2):
        rows = {split: n // part for split, n in rows_that_fit().items()}
        place = workspace(folder / f"rows-{part}", rows, 208, 176)
        measured(place, "stages.load")  # reads the files into the page cache
        stages = [measured(place, f"stages.{stage}") for stage in ("load", "scale")]
        grown[str(sum(rows.values()))] = sum(stage["work_seconds"] for stage in stages)
        shutil.rmtree(place)
    return grown


def training_memory(folder: Path) -> dict[str, float]:
    """Return the peak of own memory of training the widest layers; few rows of full size."""
    place = workspace(folder / "memory", {"train": 300, "test": 10}, 208, 176)
    for stage in ("load", "scale"):
        measured(place, f"stages.{stage}")
    return {
        model: measured(place, "stages.train", model)["own_mb"]
        for model in ("simple_nn1", "conv_nn1")
    }


def growth_with_size(folder: Path, times: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Return the milliseconds per step of two models at half the side, and as in `times`."""
    half = workspace(folder / "half", {"train": 700, "test": 10}, 104, 88)
    for stage in ("load", "scale"):
        measured(half, f"stages.{stage}")
    return {
        model: {
            "104 x 88": step_ms(start_steps(model, "ours", half, 2, STEPS[model])),
            "208 x 176": times[model]["ours"],
        }
        for model in ("simple_nn2", "conv_nn2")
    }


def dvc_overhead() -> dict[str, float]:
    """Return the seconds of a `dvc repro` that has nothing to do, beside `dvc --version`."""
    times: dict[str, list[float]] = {"repro": [], "--version": []}
    subprocess.run(["dvc", "repro", "--quiet"], cwd=ROOT, check=True)
    for _ in range(ROUNDS):
        for argument, seconds in times.items():
            started = time.perf_counter()
            subprocess.run(["dvc", argument], cwd=ROOT, check=True, capture_output=True)
            seconds.append(time.perf_counter() - started)
    return {f"dvc {argument}": statistics.median(seconds) for argument, seconds in times.items()}


def one_change(params: Params, result: dict[str, Any]) -> dict[str, float]:
    """Compare conv_nn2 trained and evaluated again with the notebook's recipe from the top."""
    steps = -(-rows_that_fit()["train"] // params.models["conv_nn2"].batch_size)
    steps *= params.models["conv_nn2"].epochs
    ours = steps * result["milliseconds per step"]["conv_nn2"]["ours"] / 1000
    ours += result["train conv_nn4"]["seconds"] + result["evaluate conv_nn2"]["seconds"]
    ours += result["dvc"]["dvc repro"]
    plain = result["all six trainings, extrapolated"]["plain_seconds"]
    plain += result["preparation"]["plain"]["seconds"]
    return {"plain_seconds": plain, "ours_seconds": ours, "ratio": plain / ours}


def show(result: dict[str, Any]) -> None:
    print(json.dumps(result["machine"]))
    row = "{:44} {:>12} {:>12} {:>8}".format
    rows = result["rows"]
    print(f"{rows['train']} + {rows['test']} rows of 208 x 176", end="")
    print("" if rows == ROWS else ", fewer than the notebook's: its recipe wants more memory")
    print(row("", "notebook", "ours", "ratio"))
    p = result["preparation"]
    for what, key in (
        ("preparation, s", "work_seconds"),
        ("preparation with starts and imports, s", "seconds"),
        ("preparation, own memory, MB", "own_mb"),
    ):
        plain, ours = p["plain"][key], p["ours"][key]
        print(row(what, *_f(plain, ours, plain / ours)))
    b = result["stored bytes"]
    print(
        row(
            "outs of load and scale in the cache, MB",
            *_f(b["plain"] / 1e6, b["ours"] / 1e6, b["plain"] / b["ours"]),
        )
    )
    for model, t in result["milliseconds per step"].items():
        print(row(f"{model}, ms per step", *_f(t["plain"], t["ours"], t["ratio"])))
    a = result["all six trainings, extrapolated"]
    print(row("six trainings, s *", *_f(a["plain_seconds"], a["ours_seconds"], a["ratio"])))
    two = (a["plain_seconds"], a["two_at_once_seconds"], a["ratio, two at once"])
    print(row("six trainings, two at once, s *", *_f(*two)))
    o = result["one learning rate changed, extrapolated"]
    print(row("conv_nn2's lr changed, s *", *_f(o["plain_seconds"], o["ours_seconds"], o["ratio"])))
    print("* extrapolated from the steps above; ours with the start and end of each stage")
    for name in (
        "own memory of training, MB",
        "train conv_nn4",
        "evaluate conv_nn2",
        "seconds of load + scale by rows",
        "milliseconds per step by image size",
        "dvc",
    ):
        print(f"{name}: {json.dumps(result[name])}")


def _f(*values: float) -> tuple[str, ...]:
    return tuple(f"{value:.1f}" for value in values)


if __name__ == "__main__":
    main()
