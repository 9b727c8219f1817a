"""Train one model of params.yaml: `python -m stages.train MODEL`."""

import time
from pathlib import Path

import torch

from src.arrays import read_images, read_numbers
from src.checkpoint import Checkpoint, fingerprint
from src.cli import model_argument, run
from src.device import made_by, set_up_device
from src.files import remove, write_csv, write_json
from src.meta import read_meta
from src.networks import NETWORKS
from src.params import read_params
from src.training import Epoch, train
from src.weights import save_weights

FLAT = Path("data/flat")
SCALED = Path("data/scaled")
MODELS = Path("models")
HISTORY = Path("plots/history")


def main() -> None:
    params = read_params()
    name = model_argument("train", params.models)
    model, training = params.models[name], params.training(name)
    meta = read_meta(FLAT / "meta.json")
    device = set_up_device(training.threads, tf32=training.precision == "tf32")
    x = torch.from_numpy(read_images(SCALED / "x_train.npy", meta.image_shape, ["float32"]))
    y = torch.from_numpy(read_numbers(FLAT / "y_train.npy", len(x), len(meta.classes)))

    # The seed alone decides the weights that a network of this shape starts from, not its name.
    torch.manual_seed(training.seed)
    network = NETWORKS[model.arch](meta.image_shape, len(meta.classes)).to(device)
    started = time.perf_counter()
    values = {"model": model.model_dump(), "training": training.model_dump()}
    data = (FLAT / "meta.json", FLAT / "y_train.npy", SCALED / "x_train.npy")
    key = fingerprint(values, data, device)
    history = train(
        network,
        x,
        y,
        lr=model.lr,
        batch_size=model.batch_size,
        epochs=training.epochs,
        shuffle=training.shuffle,
        seed=training.seed,
        bf16=training.precision == "bf16",
        checkpoint=Checkpoint(MODELS / f"{name}.{key}.checkpoint"),
    )
    save_weights(MODELS / f"{name}.safetensors", network)
    write_csv(HISTORY / f"{name}.csv", Epoch._fields, history)
    write_json(
        MODELS / f"{name}.run.json",
        {
            **made_by(device, started),
            **model.model_dump(),
            **training.model_dump(),
        },
    )
    for finished in MODELS.glob(f"{name}.*.checkpoint*"):  # of other params too, and half-written
        remove(finished)


if __name__ == "__main__":
    run(main)
