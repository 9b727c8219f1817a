"""How far a training got, in a file beside the outs, so that a killed run resumes from there."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from mri_stages.errors import InputError
from mri_stages.storage.files import write_atomically

CODE = Path(__file__).parents[1]
Part = nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler


class Checkpoint:
    """All that the next step depends on, written between epochs, every `seconds` at most."""

    def __init__(self, path: Path, seconds: float = 30) -> None:
        self.path, self.seconds = path, seconds
        self.written = time.monotonic()  # a training shorter than that writes none

    def save(
        self,
        parts: Sequence[Part],
        generator: torch.Generator,
        history: Sequence[Sequence[Any]],
        best: Mapping[str, torch.Tensor] | None,
    ) -> None:
        """Write the state, unless the last write is less than `seconds` ago."""
        if time.monotonic() - self.written < self.seconds:
            return
        state = {
            "parts": [part.state_dict() for part in parts],
            "order": generator.get_state(),  # and augmentation
            "random": torch.get_rng_state(),  # of dropout
            "random_gpus": torch.cuda.get_rng_state_all()[:1],  # of cuda:0; empty without a GPU
            "history": [list(row) for row in history],
            "best": best,
        }
        n_bytes = sum(v.nbytes for v in tree_leaves(state) if isinstance(v, torch.Tensor))
        try:
            with write_atomically(self.path, n_bytes) as partial, partial.open("wb") as file:
                torch.save(state, file)
        except InputError as no_room:  # the training can do without
            print(f"note: no checkpoint: {no_room}", flush=True)
        self.written = time.monotonic()

    def restore(
        self, parts: Sequence[Part], generator: torch.Generator
    ) -> tuple[list[list[Any]], dict[str, torch.Tensor] | None]:
        """Put the state back; return history and best weights: [] and None without a whole file."""
        if not self.path.exists():
            return [], None
        try:
            with ZipFile(self.path) as archive:
                if damaged := archive.testzip():  # compares each member with its CRC-32
                    raise ValueError(f"{damaged} is damaged")
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes can raise any kind
            print(f"note: {self.path}: damaged ({error}), so training starts from zero")
            return [], None
        for part, saved in zip(parts, state["parts"], strict=True):
            part.load_state_dict(saved)
        generator.set_state(state["order"])
        torch.set_rng_state(state["random"])
        torch.cuda.set_rng_state_all(state["random_gpus"])
        print(f"{self.path}: resumes from its last checkpoint, after epoch {len(state['history'])}")
        return state["history"], state["best"]


def fingerprint(values: Mapping[str, Any], files: Iterable[Path], device: torch.device) -> str:
    """Return a hash of all that decides a result: params, data, code, PyTorch and the device."""
    made_by = {
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "onednn": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    }
    digest = hashlib.sha256(json.dumps([values, made_by], sort_keys=True).encode())
    for path in (*files, *sorted(CODE.rglob("*.py"))):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
