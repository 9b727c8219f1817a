"""Checkpoints from which a killed training resumes."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from mri_stages.errors import InputError
from mri_stages.storage.files import remove_path, write_atomically
from mri_stages.storage.weights import collect_tensors, fill_network
from mri_stages.training.optimization import Optimizer

CODE = Path(__file__).parents[1]
SECONDS_BETWEEN_CHECKPOINTS = 30.0

Stateful = nn.Module | Optimizer | torch.optim.lr_scheduler.LRScheduler
Weights = dict[str, torch.Tensor]  # a state_dict


class Checkpoint:
    """The training state in a file, saved after an epoch, at most once every `seconds`.

    seconds: SECONDS_BETWEEN_CHECKPOINTS unless given. A training that is shorter saves none.
    """

    def __init__(self, path: Path, seconds: float | None = None) -> None:
        self.path = path
        self.seconds = SECONDS_BETWEEN_CHECKPOINTS if seconds is None else seconds
        self.last_save = time.monotonic()

    def save(
        self,
        parts: Sequence[Stateful],
        generator: torch.Generator,
        history: Sequence[Sequence[Any]],
        best_weights: Mapping[str, torch.Tensor] | None,
        compute_outputs: Callable[[], torch.Tensor],
    ) -> None:
        """Write the state, unless the last save is less than `seconds` ago.

        compute_outputs: returns outputs of the network, which `restore` compares.
        """
        if time.monotonic() - self.last_save < self.seconds:
            return

        state = {
            "parts": [part.state_dict() for part in parts],
            "order": generator.get_state(),  # shuffling and augmentation draw from it
            "random": torch.get_rng_state(),  # dropout draws from it
            "random_gpus": torch.cuda.get_rng_state_all()[:1],  # of cuda:0; empty without a GPU
            "history": [list(row) for row in history],
            "best": best_weights,
            "outputs": compute_outputs(),
        }
        write_state(self.path, state)
        self.last_save = time.monotonic()

    def restore(
        self,
        parts: Sequence[Stateful],
        generator: torch.Generator,
        is_same_network: Callable[[torch.Tensor], bool],
    ) -> tuple[list[list[Any]], Weights | None]:
        """Put the state back; return history and best weights.

        Without a file, or with a damaged one, change nothing and return [] and None.
        is_same_network: tells whether the network, with its state put back, gives these outputs.
        InputError if it does not: a part of its state is in none of `parts`.
        """
        state = read_state(self.path)
        if state is None:
            return [], None

        for part, part_state in zip(parts, state["parts"], strict=True):
            part.load_state_dict(part_state)
        if not is_same_network(state["outputs"]):
            raise InputError(
                f"{self.path}: the network gives other outputs than before it was saved, so a part "
                "of its state is not in state_dict(); register it as a buffer, and remove this file"
            )
        generator.set_state(state["order"])
        torch.set_rng_state(state["random"])
        torch.cuda.set_rng_state_all(state["random_gpus"])
        n_epochs = len(state["history"])
        print(f"{self.path}: resumes from its last checkpoint, after epoch {n_epochs}")
        return state["history"], state["best"]

    def select_network(self, number: int) -> "Checkpoint":
        """Return the checkpoint of one network of an ensemble, in a file beside this one.

        number: of the network, from 0.
        """
        name = f"{self.path.stem}.{number}{self.path.suffix}"
        return Checkpoint(self.path.with_name(name), self.seconds)

    @property
    def result_path(self) -> Path:
        """Return the file of a finished network of an ensemble."""
        return self.path.with_name(f"{self.path.stem}.result{self.path.suffix}")

    def save_result(self, network: nn.Module, history: Sequence[Sequence[Any]]) -> None:
        """Write a finished network of an ensemble, in place of the state of its training."""
        tensors = collect_tensors(network)
        state = {"network": tensors, "history": [list(row) for row in history]}
        write_state(self.result_path, state)
        remove_path(self.path)

    def restore_result(self, network: nn.Module) -> list[list[Any]]:
        """Fill a fresh network with the weights of the finished one; return its history.

        Without a file, or with a damaged one, change nothing and return [].
        """
        state = read_state(self.result_path)
        if state is None:
            return []
        fill_network(network, state["network"])
        print(f"{self.result_path}: this network is trained already", flush=True)
        history: list[list[Any]] = state["history"]
        return history


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state; where there is no room on the disk, print a note and write nothing."""
    n_bytes = count_bytes(state)
    try:
        with write_atomically(path, n_bytes) as partial, partial.open("wb") as file:
            torch.save(state, file)
    except InputError as error:  # the training can do without
        print(f"note: no checkpoint: {error}", flush=True)


def read_state(path: Path) -> dict[str, Any] | None:
    """Return what `write_state` wrote; None without a file, or with a damaged one.

    A line says that a file is damaged.
    """
    if not path.exists():
        return None
    try:
        check_archive(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can raise any kind
        print(f"note: {path}: damaged ({error}), so training starts from zero")
        return None
    return state


def count_bytes(state: Any) -> int:
    """Return the bytes of all tensors in a nested state."""
    tensors = [leaf for leaf in tree_leaves(state) if isinstance(leaf, torch.Tensor)]
    return sum(tensor.nbytes for tensor in tensors)


def check_archive(path: Path) -> None:
    """Raise ValueError if a member of the zip archive does not have its CRC-32."""
    with ZipFile(path) as archive:
        damaged_member = archive.testzip()
    if damaged_member is not None:
        raise ValueError(f"{damaged_member} is damaged")


def compute_fingerprint(
    values: Mapping[str, Any], files: Iterable[Path], device: torch.device
) -> str:
    """Return a hash of all that decides a result: params, data, code, PyTorch and the device."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    environment = {
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "onednn": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        "gpu": gpu,
    }
    digest = hashlib.sha256(json.dumps([values, environment], sort_keys=True).encode())
    for path in (*files, *sorted(CODE.rglob("*.py"))):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
