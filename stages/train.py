"""Train one model of params.yaml: `python -m stages.train MODEL`."""

import time

import torch

from src import paths
from src.cli import model_argument, run
from src.models import make_network
from src.params import read_params
from src.storage.dataset import Epoch, label_files, load_split, read_info
from src.storage.files import remove, write_csv
from src.storage.weights import save_weights
from src.training.checkpoint import Checkpoint, fingerprint
from src.training.device import device_name, set_up_device
from src.training.loop import train
from src.training.recipe import validation_rows


def main() -> None:
    params = read_params()
    name = model_argument("train", params.models)
    arch, recipe = params.models[name].arch, params.recipe(name)
    info = read_info()
    rows = load_split("train", info)
    chosen = validation_rows(recipe, rows.labels, rows.subjects, info.classes)
    held_out = None if chosen is None else torch.from_numpy(chosen)
    device = set_up_device(recipe.threads)
    network = make_network(arch, info.image_shape, len(info.classes), recipe.seed)

    started = time.perf_counter()
    data = [*label_files("train"), paths.scaled_images("train")]
    key = fingerprint({"arch": arch, "recipe": recipe.model_dump()}, data, device)
    x, y = torch.from_numpy(rows.images), torch.from_numpy(rows.labels)
    checkpoint = Checkpoint(paths.checkpoint(name, key))
    history = train(network.to(device), x, y, recipe, held_out=held_out, checkpoint=checkpoint)
    save_weights(paths.weights(name), network)
    write_csv(paths.history(name), Epoch._fields, history)
    for finished in paths.MODELS.glob(f"{name}.*.checkpoint*"):  # also of other params
        remove(finished)
    seconds = time.perf_counter() - started
    print(f"{name}: {seconds:.1f} s on {device_name(device)}, torch {torch.__version__}")


if __name__ == "__main__":
    run(main)
