"""Tensors are written in safetensors' own bytes."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from src.networks import NETWORKS
from src.weights import write_tensors


@pytest.mark.parametrize("metadata", [None, {"sha256": "é0"}])
def test_the_bytes_are_those_of_the_library(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    network = NETWORKS["ConvNN1"]((3, 20, 20), 4).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = {
        **network.state_dict(),
        "odd": torch.arange(5, dtype=torch.uint8),
        "history": torch.rand(3, 2, dtype=torch.float64),
        "none": torch.zeros(0, 4),
    }
    contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
    write_tensors(tmp_path / "w", state, metadata)
    assert (tmp_path / "w").read_bytes() == save(contiguous, metadata)
