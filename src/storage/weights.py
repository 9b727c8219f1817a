"""Weights on disk: safetensors, which holds data and never code."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from src.cli import InputError
from src.storage.files import REMAKE, write_bytes


def save_weights(path: Path, network: nn.Module) -> None:
    """Write the network's parameters and buffers, without metadata, whose order is not stable."""
    state, addresses = dict[str, torch.Tensor](), set[int]()
    for name, tensor in network.state_dict().items():
        tensor = tensor.cpu().contiguous()
        # safetensors refuses tensors that share memory, such as tied weights.
        state[name] = tensor.clone() if tensor.data_ptr() in addresses else tensor
        addresses.add(tensor.data_ptr())
    write_bytes(path, save(state))  # `save_file` hides a full disk in an error of its own


def load_weights(path: Path, network: nn.Module) -> None:
    """Fill `network` from `path`.

    InputError unless names, shapes and dtypes are those of the network, and the values of all
    floats are finite, or NaN everywhere, as after a run that diverged.
    """
    try:
        state = load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; 'dvc repro' makes it") from None
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}); {REMAKE}") from None
    expected, found = kinds(network.state_dict()), kinds(state)
    for name in sorted(expected | found):
        if found.get(name) != expected.get(name):
            difference = f"{found.get(name, 'missing')}, expected {expected.get(name, 'none')}"
            raise InputError(f"{path}: not of this network: {name} is {difference}; {REMAKE}")
    floats = [state[name] for name, _ in network.named_parameters()]
    if not all(tensor.isfinite().all() for tensor in floats) and not all(
        tensor.isnan().all() for tensor in floats
    ):
        raise InputError(f"{path}: some values are not finite, expected all or none; {REMAKE}")
    network.load_state_dict(state)


def kinds(state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return the dtype and shape of each tensor, in words."""
    return {
        name: f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
        for name, tensor in state.items()
    }
