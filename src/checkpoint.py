"""How far a training got, in a file beside the outs, so that a killed run goes on from there."""

import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from src.cli import InputError
from src.weights import kinds, write_tensors

SECONDS = 30  # between two writes: the weights can be 450 MB


class Checkpoint:
    """The state of a training between two epochs, at `path`, written every `seconds` at most.

    It holds what the next step is computed from: the folded layers as they are (unfolding rounds),
    the generator that draws the order of the rows, and the history. Plain SGD has no other state.
    """

    def __init__(self, path: Path, seconds: float = SECONDS) -> None:
        self.path = path
        self.seconds = seconds
        self.written = -math.inf

    def save(
        self, layers: nn.Module, generator: torch.Generator, history: Sequence[Sequence[float]]
    ) -> None:
        """Write the state, unless the last write is less than `seconds` ago."""
        if time.monotonic() - self.written < self.seconds:
            return
        state = {f"layers.{k}": v.cpu().contiguous() for k, v in layers.state_dict().items()}
        state["generator"] = generator.get_state()
        state["history"] = torch.tensor(history, dtype=torch.float64)
        try:
            write_tensors(self.path, state, {"sha256": checksum(state)})
        except InputError as no_room:  # the training can do without
            print(f"note: no checkpoint: {no_room}")
        self.written = time.monotonic()

    def restore(self, layers: nn.Module, generator: torch.Generator) -> list[list[float]]:
        """Put the state back; the rows of the history so far, none if there is no whole file."""
        try:
            with safe_open(self.path, "pt") as file:
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                expected = (file.metadata() or {}).get("sha256")
        except FileNotFoundError:
            return []
        except SafetensorError:
            state, expected = {}, None
        fresh = {f"layers.{name}": tensor for name, tensor in layers.state_dict().items()}
        fresh["generator"] = generator.get_state()
        fresh["history"] = torch.empty(state["history"].shape if "history" in state else 0).double()
        if kinds(state) != kinds(fresh) or checksum(state) != expected:
            print(f"note: {self.path}: damaged, so training starts from zero")
            return []
        generator.set_state(state.pop("generator"))
        rows: list[list[float]] = state.pop("history").tolist()
        layers.load_state_dict({k.removeprefix("layers."): v for k, v in state.items()})
        print(f"{self.path}: going on behind epoch {len(rows) - 1}")
        return rows


def checksum(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of names, dtypes, shapes and bytes: safetensors itself has no checksum."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()


def fingerprint(values: Mapping[str, Any], files: Iterable[Path], device: torch.device) -> str:
    """A hash of all that decides a result: of a training on any other, no checkpoint is taken.

    That is `values` (JSON), the bytes of `files`, our own modules that are loaded, PyTorch's
    version and the kind of device.
    """
    made_by = {
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "onednn": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    }
    digest = hashlib.sha256(json.dumps([values, made_by], sort_keys=True).encode())
    for path in (*files, *sources()):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def sources() -> list[Path]:
    """The files of the running stage and of our own modules that it imported."""
    files = [
        getattr(module, "__file__", None)
        for name, module in sys.modules.items()
        if name == "__main__" or name.split(".")[0] in ("src", "stages")
    ]
    return sorted({Path(file) for file in files if file})
