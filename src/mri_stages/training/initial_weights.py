"""Trained weights from a file, with which a training begins: `weights` of a model.

The bytes are found by their hash, where params.yaml says, or in a store that all copies of the
project share. They are read without running code.
"""

import hashlib
import os
import pickle
import re
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from mri_stages.config.schema import InitialWeights
from mri_stages.console import list_some, print_once
from mri_stages.errors import InputError, is_out_of_memory
from mri_stages.storage.weights import collect_tensors, fill_network

STORE_VARIABLE = "MRI_STAGES_WEIGHTS"

# Under these keys many programs keep the weights of a network beside other things.
STATE_KEYS = ("state_dict", "model", "model_state_dict")
# Names of a network inside another one, which files of trained weights begin with.
USUAL_PREFIXES = ("module.", "model.", "backbone.", "encoder.", "network.", "body.")

MIN_FILLED_SHARE = 0.5  # of the tensors of the network

Tensors = dict[str, torch.Tensor]


class StateDict(NamedTuple):
    """The tensors of a file by name, and the key of the file under which they are, or ""."""

    tensors: Tensors
    key: str
    n_other_values: int  # beside the tensors


class Match(NamedTuple):
    """Which tensors of a file fit a network, by the network's names."""

    tensors: Tensors
    removed_prefix: str  # of names in the file
    added_prefix: str  # to names in the file


# Finding the bytes


def find_store() -> Path:
    """Return the folder in which a file of weights lies under its hash."""
    folder = os.environ.get(STORE_VARIABLE)
    if folder:
        return Path(folder)
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "mri-stages/weights"


def compute_sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_bytes_of_hash(weights: InitialWeights) -> bytes:
    """Return the bytes with the hash; InputError that names it and the places without them."""
    problems = []
    for path in (Path(weights.file).expanduser(), find_store() / weights.sha256):
        if not path.is_file():
            problems.append(f"{path} is no file")
            continue
        data = path.read_bytes()
        sha256 = compute_sha256(data)
        if sha256 == weights.sha256:
            return data
        problems.append(f"{path} has {sha256}")
    raise InputError(
        f"params.yaml: no file of weights has the sha256 {weights.sha256}: {'; '.join(problems)}; "
        "'mri-stages models weights FILE' prints the hash of a file, and stores it on this machine"
    )


# Reading a state dict


def read_state_dict(name: str, data: bytes) -> StateDict:
    """Return the tensors of a file; InputError if it holds no state dict, or would run code.

    name: of the file, for messages; it ends in .safetensors, or in .pth or .pt of `torch.save`.
    """
    if name.endswith(".safetensors"):
        try:
            return StateDict(load(data), "", 0)
        except (SafetensorError, ValueError) as error:
            raise InputError(f"{name}: not readable as safetensors: {error}") from None
    return select_tensors(name, load_plain_data(name, data))


def load_plain_data(name: str, data: bytes) -> Any:
    """Return what `torch.save` wrote; InputError if reading it would run code, or fails."""
    try:
        return torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can raise any kind
        if is_out_of_memory(error):
            raise
        reason = f"not readable as a file of torch.save ({type(error).__name__})"
        global_names = re.findall(r"GLOBAL ([\w.]+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and global_names:
            reason = f"reading it would run code ({global_names[0]}), which is not done"
        raise InputError(
            f"{name}: {reason}; expected a state dict, as of torch.save(network.state_dict(), FILE)"
        ) from None


def select_tensors(name: str, value: Any) -> StateDict:
    """Return the tensors of a state dict, or of one under a usual key; InputError if none."""
    key = ""
    if isinstance(value, Mapping):
        usual_keys = [key for key in STATE_KEYS if has_tensors(value.get(key))]
        if usual_keys:
            key = usual_keys[0]
            value = value[key]

    if not has_tensors(value):
        content = type(value).__name__
        if isinstance(value, Mapping):
            content = f"a mapping of {list_some(map(str, value))}"
        raise InputError(
            f"{name}: {content}, expected a state dict: tensors by name, or these under one of "
            f"the keys {', '.join(STATE_KEYS)}"
        )
    tensors = {
        str(key): tensor for key, tensor in value.items() if isinstance(tensor, torch.Tensor)
    }
    return StateDict(tensors, key, len(value) - len(tensors))


def has_tensors(value: object) -> bool:
    """Return whether a mapping holds a tensor."""
    if not isinstance(value, Mapping):
        return False
    return any(isinstance(item, torch.Tensor) for item in value.values())


# Filling a network


def fill_from_file(
    network: nn.Module, arch: str, weights: InitialWeights, state: StateDict
) -> list[str]:
    """Fill the tensors of a network that fit by name and shape; return the names of the others.

    A line says which, once. arch: names the network's file. InputError if fewer than half of the
    tensors fit.
    """
    own_tensors = collect_tensors(network)
    match = match_tensors(own_tensors, state.tensors)
    if len(match.tensors) < MIN_FILLED_SHARE * len(own_tensors):
        raise InputError(
            f"{weights.file}: {len(match.tensors)} of {len(own_tensors)} tensors of "
            f"src/mri_stages/models/{arch}.py fit by name and shape, expected half of them; the "
            f"file has {describe_first(state.tensors)}, the network {describe_first(own_tensors)}"
        )

    fill_network(network, own_tensors | match.tensors)
    fresh_names = list_fresh_names(own_tensors, match.tensors)
    n_unused = len(state.tensors) + state.n_other_values - len(match.tensors)
    notes = describe_renaming(match, state.key)
    print_once(
        f"{weights.file}: {len(own_tensors) - len(fresh_names)} of {len(own_tensors)} tensors "
        f"filled; fresh: {list_some(fresh_names) or 'none'}; not used: {n_unused}{notes}"
    )
    return fresh_names


def match_tensors(own_tensors: Tensors, file_tensors: Tensors) -> Match:
    """Return the tensors of the file that fit the network, under the names that fit most."""
    removed_prefixes = list(
        dict.fromkeys(["", *list_common_prefixes(file_tensors), *USUAL_PREFIXES])
    )
    parts = [name.partition(".") for name in own_tensors]
    added_prefixes = list(dict.fromkeys(["", *(f"{first}." for first, dot, _ in parts if dot)]))

    best = Match({}, "", "")
    for removed_prefix in removed_prefixes:
        for added_prefix in added_prefixes:
            tensors = {}
            for name, tensor in file_tensors.items():
                own_name = added_prefix + name.removeprefix(removed_prefix)
                if own_name in own_tensors and fits(tensor, own_tensors[own_name]):
                    tensors[own_name] = tensor
            if len(tensors) > len(best.tensors):
                best = Match(tensors, removed_prefix, added_prefix)
    return best


def list_common_prefixes(names: Collection[str]) -> list[str]:
    """Return what all names begin with, up to each dot: `a.` and `a.b.` of a.b.c and a.b.d."""
    common = ""
    prefixes: list[str] = []
    for part in min(names, default="").split(".")[:-1]:
        common += f"{part}."
        if all(name.startswith(common) for name in names):
            prefixes.append(common)
    return prefixes


def fits(tensor: torch.Tensor, own_tensor: torch.Tensor) -> bool:
    """Return whether a tensor of a file has the shape and the kind of numbers of the network's."""
    return (
        tensor.shape == own_tensor.shape
        and tensor.is_floating_point() == own_tensor.is_floating_point()
        and tensor.is_complex() == own_tensor.is_complex()
    )


def list_fresh_names(own_tensors: Tensors, filled_tensors: Tensors) -> list[str]:
    """Return the names of the tensors that were not filled, also not as tied ones."""
    filled_places = {own_tensors[name].data_ptr() for name in filled_tensors}
    return [
        name
        for name, tensor in own_tensors.items()
        if name not in filled_tensors and tensor.data_ptr() not in filled_places
    ]


def describe_renaming(match: Match, key: str) -> str:
    """Return in brackets what was taken for the names of the file; "" if nothing was changed."""
    notes = []
    if key:
        notes.append(f"opened at `{key}`")
    if match.removed_prefix:
        notes.append(f"names without `{match.removed_prefix}`")
    if match.added_prefix:
        notes.append(f"names with `{match.added_prefix}` before them")
    return f" ({', '.join(notes)})" if notes else ""


def describe_first(tensors: Tensors) -> str:
    """Return the name and the shape of the first tensor."""
    for name, tensor in tensors.items():
        return f"{name} {tuple(tensor.shape)}"
    return "no tensor"
