"""Weights on disk: safetensors, which holds data and never code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from src.cli import InputError
from src.files import replacing

NAMES = {torch.float64: "F64", torch.float32: "F32", torch.uint8: "U8"}


def save_weights(path: Path, network: nn.Module) -> None:
    """The network's state as float32 tensors; all NaN if one value is not finite (diverged).

    No metadata, whose order would not be stable.
    """
    state = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    if not all(tensor.isfinite().all() for tensor in state.values()):
        state = {name: torch.full_like(tensor, torch.nan) for name, tensor in state.items()}
    write_tensors(path, state)


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """The bytes of safetensors' `save`, one tensor after the other.

    `save` holds all of them in memory twice more, and weights can be 450 MB. `save_file` leaves a
    file of a random name behind where it is killed.
    """
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    in_order = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    end = 0
    for name, tensor in in_order:
        start, end = end, end + tensor.nbytes
        kind = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape)}
        header[name] = {**kind, "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path, 8 + len(text) + end) as partial, partial.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in in_order:
            file.write(tensor.contiguous().numpy().data)


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
    expected, found = kinds(network.state_dict()), kinds(state)
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


def kinds(state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Dtype and shape of each tensor, in words."""
    return {
        name: f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
        for name, tensor in state.items()
    }
