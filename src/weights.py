"""Weights on disk: safetensors, which holds data and never code."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from src.cli import InputError
from src.files import write_bytes


def save_weights(path: Path, network: nn.Module) -> None:
    """The network's state as float32 tensors; all NaN if one value is not finite (diverged).

    No metadata, whose order would not be stable.
    """
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    if not all(tensor.isfinite().all() for tensor in state.values()):
        state = {name: torch.full_like(tensor, torch.nan) for name, tensor in state.items()}
    write_bytes(path, save(state))


def load_weights(path: Path, network: nn.Module) -> None:
    """Fill `network` from `path`.

    InputError unless names, shapes and dtypes are the network's, and all values finite or all NaN.
    """
    try:
        state = load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; 'dvc repro' makes it") from None
    except SafetensorError as error:
        raise InputError(
            f"{path}: no whole safetensors file ({error}); delete it and run 'dvc repro'"
        ) from None
    expected, found = _kinds(network.state_dict()), _kinds(state)
    for name in sorted(expected | found):
        if found.get(name) != expected.get(name):
            raise InputError(
                f"{path}: no weights of this network: {name} is {found.get(name, 'missing')}, "
                f"expected {expected.get(name, 'no such name')}; delete it and run 'dvc repro'"
            )
    finite = all(tensor.isfinite().all() for tensor in state.values())
    if not finite and not all(tensor.isnan().all() for tensor in state.values()):
        raise InputError(
            f"{path}: some weights are not finite, expected all finite, or all NaN of a run that "
            "diverged; delete it and run 'dvc repro'"
        )
    network.load_state_dict(state)


def _kinds(state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    return {
        name: f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
        for name, tensor in state.items()
    }
