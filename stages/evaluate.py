"""Evaluate one model on the test rows: `python -m stages.evaluate MODEL`."""

import math
import time
from pathlib import Path

import torch

from src.arrays import read_images, read_numbers
from src.cli import model_argument, run
from src.device import made_by, set_up_device
from src.evaluation import mean_cross_entropy, predict_logits
from src.files import read_csv, write_csv, write_json
from src.intervals import interval_name
from src.meta import absent_entry, read_meta
from src.networks import NETWORKS
from src.params import read_params
from src.scores import score
from src.weights import load_weights

FLAT = Path("data/flat")
SCALED = Path("data/scaled")
MODELS = Path("models")
HISTORY = Path("plots/history")
CONFUSION = Path("plots/confusion")
METRICS = Path("metrics")


def main() -> None:
    params = read_params()
    name = model_argument("evaluate", params.models)
    meta = read_meta(FLAT / "meta.json")
    device = set_up_device(params.training(name).threads)
    network = NETWORKS[params.models[name].arch](meta.image_shape, len(meta.classes))
    history = read_csv(HISTORY / f"{name}.csv", {"train_loss": float})
    load_weights(MODELS / f"{name}.safetensors", network)

    x = torch.from_numpy(read_images(SCALED / "x_test.npy", meta.image_shape, ["float32"]))
    y = read_numbers(FLAT / "y_test.npy", len(x), len(meta.classes))
    subjects_path = FLAT / "subjects_test.npy"
    subjects = read_numbers(subjects_path, len(x)) if subjects_path.exists() else None
    started = time.perf_counter()
    logits = predict_logits(network.to(device), x)
    scored = [meta.classes.index(name) for name in meta.scored]
    metrics = score(logits.argmax(1).numpy(), y, subjects, scored)
    loss = mean_cross_entropy(logits, y)
    losses = [float(epoch["train_loss"]) for epoch in history]
    diverged = math.isnan(losses[-1]) or not math.isfinite(loss)
    write_json(
        METRICS / f"{name}.json",
        {
            **metrics,
            # JSON knows no NaN and no infinity: such a loss is left out, and `diverged` says why.
            **({"loss": loss} if math.isfinite(loss) else {}),
            "diverged": diverged,
            **absent_entry(meta.classes, meta.scored),
        },
    )
    write_csv(
        CONFUSION / f"{name}.csv",
        ("actual", "predicted"),
        [
            (meta.classes[actual], meta.classes[predicted])
            for actual, predicted in zip(y, logits.argmax(1), strict=True)
        ],
    )
    write_json(METRICS / f"{name}.run.json", made_by(device, started))
    print(
        f"{name}: accuracy {metrics['accuracy']:.4f}, 95 % interval {metrics['low']:.4f} to "
        f"{metrics['high']:.4f} ({interval_name(subjects)}){'; it diverged' if diverged else ''}"
    )


if __name__ == "__main__":
    run(main)
