"""Train one model of params.yaml: `python -m stages.train MODEL`."""

import time

import torch

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.console import parse_model_argument
from mri_stages.models import make_network
from mri_stages.storage.dataset import list_label_files, load_split, read_info
from mri_stages.storage.files import remove_path, write_csv
from mri_stages.storage.history import Epoch
from mri_stages.storage.weights import save_weights
from mri_stages.training.checkpoint import Checkpoint, fingerprint
from mri_stages.training.device import device_name, set_up_device
from mri_stages.training.loop import train
from mri_stages.training.validation import choose_validation_rows


def main() -> None:
    params = read_params()
    name = parse_model_argument("train", params.models)
    arch, recipe = params.models[name].arch, params.models[name]
    info = read_info()
    rows = load_split("train", info)
    chosen = choose_validation_rows(recipe, rows.labels, rows.subjects, info.classes)
    held_out = None if chosen is None else torch.from_numpy(chosen)
    device = set_up_device(recipe.threads)
    network = make_network(arch, info.image_shape, len(info.classes), recipe.seed)

    started = time.perf_counter()
    data = [*list_label_files("train"), paths.scaled_images("train")]
    key = fingerprint({"arch": arch, "recipe": recipe.model_dump()}, data, device)
    x, y = torch.from_numpy(rows.images), torch.from_numpy(rows.labels)
    checkpoint = Checkpoint(paths.checkpoint(name, key))
    history = train(network.to(device), x, y, recipe, held_out=held_out, checkpoint=checkpoint)
    save_weights(paths.weights(name), network)
    write_csv(paths.history(name), Epoch._fields, history)
    for finished in paths.MODELS.glob(f"{name}.*.checkpoint*"):  # also of other params
        remove_path(finished)
    seconds = time.perf_counter() - started
    print(f"{name}: {seconds:.1f} s on {device_name(device)}, torch {torch.__version__}")


if __name__ == "__main__":
    run_stage(main)
