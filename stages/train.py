"""Train one model of params.yaml: `python -m stages.train MODEL`."""

import time

import torch

from src import paths
from src.cli import model_argument, run
from src.models import make_network
from src.params import read_params
from src.storage.dataset import Epoch, load_split, read_info
from src.storage.files import remove, write_csv
from src.storage.weights import save_weights
from src.training.checkpoint import Checkpoint, fingerprint
from src.training.device import device_name, set_up_device
from src.training.loop import train


def main() -> None:
    params = read_params()
    name = model_argument("train", params.models)
    model, training = params.models[name], params.training(name)
    info = read_info()
    rows = load_split("train", info)
    device = set_up_device(training.threads)
    network = make_network(model.arch, info.image_shape, len(info.classes), training.seed)

    started = time.perf_counter()
    values = {"model": model.model_dump(), "training": training.model_dump()}
    data = (paths.INFO, paths.labels("train"), paths.scaled_images("train"))
    checkpoint = Checkpoint(paths.checkpoint(name, fingerprint(values, data, device)))
    history = train(
        network.to(device),
        torch.from_numpy(rows.images),
        torch.from_numpy(rows.labels),
        lr=model.lr,
        batch_size=model.batch_size,
        epochs=training.epochs,
        shuffle=training.shuffle,
        seed=training.seed,
        precision=training.precision,
        checkpoint=checkpoint,
    )
    save_weights(paths.weights(name), network)
    write_csv(paths.history(name), Epoch._fields, history)
    for finished in paths.MODELS.glob(f"{name}.*.checkpoint*"):  # also of other params
        remove(finished)
    seconds = time.perf_counter() - started
    print(f"{name}: {seconds:.1f} s on {device_name(device)}, torch {torch.__version__}")


if __name__ == "__main__":
    run(main)
