"""Train one model of params.yaml: `python -m stages.train MODEL`."""

import time

import torch

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Model, ScaledRows
from mri_stages.console import parse_model_argument
from mri_stages.preprocessing.split_rows import list_image_files, load_split_rows
from mri_stages.storage.dataset import list_label_files, read_info
from mri_stages.storage.files import remove_path
from mri_stages.storage.history import write_history
from mri_stages.storage.weights import save_weights
from mri_stages.training.checkpoint import Checkpoint, compute_fingerprint
from mri_stages.training.device import get_device_name, set_up_device
from mri_stages.training.fit import fit


def main() -> None:
    params = read_params()
    name = parse_model_argument("train", params.models)
    model = params.models[name]
    info = read_info()
    data = load_split_rows("train", info, params.data.scaled)

    started = time.perf_counter()
    device = set_up_device(model.threads)
    checkpoint = Checkpoint(paths.checkpoint(name, compute_key(model, params.data.scaled, device)))
    network, history = fit(model, data, info, checkpoint=checkpoint)

    save_weights(paths.weights(name), network)
    write_history(paths.history(name), history)
    remove_checkpoints(name)
    seconds = time.perf_counter() - started
    print(f"{name}: {seconds:.1f} s on {get_device_name(device)}, torch {torch.__version__}")


def compute_key(model: Model, scaled: ScaledRows, device: torch.device) -> str:
    """Return a hash of all that decides the weights, so that no other training resumes."""
    files = [*list_label_files("train"), *list_image_files("train", scaled)]
    return compute_fingerprint(model.model_dump(), files, device)


def remove_checkpoints(name: str) -> None:
    """Remove all checkpoints of the model, also those of other params."""
    for path in paths.MODELS.glob(f"{name}.*.checkpoint*"):
        remove_path(path)


if __name__ == "__main__":
    run_stage(main)
