"""Weights on disk: safetensors, which holds data and never code."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from src.cli import InputError
from src.files import write_bytes


def save_weights(path: Path, network: nn.Module) -> None:
    """The network's state as float32 tensors; no metadata, whose order would not be stable."""
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_bytes(path, save(state))


def load_weights(path: Path, network: nn.Module) -> None:
    """Fill `network` from `path`; InputError if the names or shapes are not the network's."""
    try:
        network.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; 'dvc repro' makes it") from None
    except (SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{path}: no weights of this network ({error}); delete it and run 'dvc repro'"
        ) from None
