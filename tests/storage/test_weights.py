"""Weights on disk: any module's, and nothing that does not fit it."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import nn

from src.cli import InputError
from src.storage.weights import load_weights, save_weights
from tests.zoo import ZOO


@pytest.mark.parametrize("name", ZOO)
def test_load_weights_gives_back_what_save_weights_wrote(tmp_path: Path, name: str) -> None:
    network, other = ZOO[name]((3, 16, 18), 4), ZOO[name]((3, 16, 18), 4)
    path = tmp_path / "models/w.safetensors"
    save_weights(path, network)
    load_weights(path, other)
    for key, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    before = path.read_bytes()
    save_weights(path, other)
    assert path.read_bytes() == before


def test_save_weights_takes_tied_and_strided_ones_and_load_weights_nan(tmp_path: Path) -> None:
    path, layers = tmp_path / "w", (nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(2, 2, 3))
    network: Any = nn.Sequential(*layers, nn.BatchNorm2d(2))  # which counts batches in an integer
    network[1].weight = network[0].weight
    network[2].to(memory_format=torch.channels_last)
    save_weights(path, network)
    state = load_file(path)
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key])
    for value in state.values():
        if value.is_floating_point():
            value.fill_(torch.nan)  # after a run that diverged
    save_file(state, path)
    load_weights(path, network)
    assert network[3].running_var.isnan().all()


STATE = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}


@pytest.mark.parametrize(
    "data",
    [
        *(None, b"", b"\xff" * 99, save(STATE)[:-1], pickle.dumps([1])),
        save({"weight": STATE["weight"]}),
        save({**STATE, "more": torch.ones(2)}),
        *(save({**STATE, "bias": bias}) for bias in (
            torch.ones(1), torch.ones(2).double(), torch.tensor([1, torch.nan]),
            torch.full((2,), -torch.inf), torch.full((2,), torch.nan))),
    ],
)  # fmt: skip
def test_path_another_file_names_it(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "w.safetensors"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=r"w\.safetensors: ") as error:
        load_weights(path, nn.Linear(3, 2))
    assert "\n" not in str(error.value)
