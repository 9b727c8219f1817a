"""Weights on disk: safetensors, which holds data and never code."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from mri_stages.errors import InputError
from mri_stages.storage.files import REMAKE, explain_read_errors, write_bytes


def save_weights(path: Path, network: nn.Module) -> None:
    """Write the network's parameters and buffers, without metadata, whose order is not stable."""
    state: dict[str, torch.Tensor] = {}
    addresses: set[int] = set()

    for name, value in network.state_dict().items():
        tensor = value.cpu().contiguous()
        # safetensors refuses tensors that share memory, such as tied weights.
        if tensor.data_ptr() in addresses:
            tensor = tensor.clone()
        else:
            addresses.add(tensor.data_ptr())
        state[name] = tensor

    write_bytes(path, save(state))  # `save_file` hides a full disk in an error of its own


def load_weights(path: Path, network: nn.Module) -> None:
    """Fill `network` from `path`; InputError unless names and shapes are those of the network."""
    try:
        with explain_read_errors(path):
            network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"{path}: not weights of this network: {error}; {REMAKE}") from None
