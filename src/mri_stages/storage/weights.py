"""Weights on disk: safetensors, which holds data and never code."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from mri_stages.console import list_some
from mri_stages.errors import InputError, is_out_of_memory
from mri_stages.storage.files import REMAKE, explain_read_errors, write_bytes


def save_weights(path: Path, network: nn.Module) -> None:
    """Write the network's parameters and buffers, without metadata, whose order is not stable."""
    state: dict[str, torch.Tensor] = {}
    addresses: set[int] = set()

    for name, value in collect_tensors(network).items():
        tensor = value.cpu().contiguous()
        # safetensors refuses tensors that share memory, such as tied weights.
        if tensor.data_ptr() in addresses:
            tensor = tensor.clone()
        else:
            addresses.add(tensor.data_ptr())
        state[name] = tensor

    write_bytes(path, save(state))  # `save_file` hides a full disk in an error of its own


def collect_tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return all that is saved of a network: parameters, persistent buffers, extra state.

    InputError if a module's `get_extra_state` returns anything but a tensor or None, and for a
    sparse tensor.
    """
    tensors = {}
    for name, value in network.state_dict().items():
        if isinstance(value, torch.Tensor):
            if value.layout != torch.strided:
                raise InputError(f"{name}: a sparse tensor is not saved, expected a dense one")
            tensors[name] = value
        elif value is not None:
            raise InputError(
                f"{name}: get_extra_state returns {type(value).__name__}, which is not saved; "
                "expected a tensor, or register a buffer"
            )
    return tensors


def fill_network(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Fill a network with what `collect_tensors` returned; RuntimeError if they do not fit."""
    empty_state = {name: None for name, value in network.state_dict().items() if value is None}
    network.load_state_dict({**empty_state, **tensors})


def load_weights(path: Path, network: nn.Module, prefix: str = "") -> None:
    """Fill `network` from `path`; InputError unless names and shapes are those of the network.

    prefix: of the network's tensors in a file of several networks.
    """
    try:
        with explain_read_errors(path):
            tensors = read_tensors(path, prefix)
    except SafetensorError as error:
        raise InputError(f"{path}: not a file of weights: {error}; {REMAKE}") from None
    try:
        fill_network(network, tensors)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        # PyTorch's message has a line for each tensor.
        misfits = list_some(list_misfits(network, tensors)) or " ".join(str(error).split())
        raise InputError(
            f"{path}: weights of other images, params or code than those here: {misfits}; "
            "'mri-stages repro' trains the model again"
        ) from None


def list_misfits(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Return for each tensor that does not fit what the file has, and what the network has."""
    expected_tensors = collect_tensors(network)
    misfits = []
    for name, expected in expected_tensors.items():
        if name not in tensors:
            misfits.append(f"{name} is missing")
        elif tensors[name].shape != expected.shape:
            found = tuple(tensors[name].shape)
            misfits.append(f"{name} of shape {found}, expected {tuple(expected.shape)}")
    unknown_names = [name for name in tensors if name not in expected_tensors]
    return misfits + [f"{name} is not of this network" for name in unknown_names]


def read_tensors(path: Path, prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a file whose names begin with the prefix, by the rest of the name."""
    tensors = {}
    with safe_open(path, "pt") as file:
        names = file.keys()
        for name in names:
            if name.startswith(prefix):
                tensors[name.removeprefix(prefix)] = file.get_tensor(name)
    return tensors
