"""Weights on disk: any module's, and nothing that does not fit it."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from src.cli import InputError
from src.storage.weights import load_weights, save_weights
from tests.zoo import ZOO

SHAPE = (3, 16, 18)


@pytest.mark.parametrize("name", ZOO)
def test_load_weights_gives_back_what_save_weights_wrote(tmp_path: Path, name: str) -> None:
    network, other = ZOO[name](SHAPE, 4), ZOO[name](SHAPE, 4)
    path = tmp_path / "models/w.safetensors"
    save_weights(path, network)
    load_weights(path, other)
    for key, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
        assert value.dtype == other.state_dict()[key].dtype
    assert [file.name for file in path.parent.iterdir()] == ["w.safetensors"]
    before = path.read_bytes()
    save_weights(path, other)
    assert path.read_bytes() == before


def test_save_weights_takes_tied_and_strided_weights(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(2, 2, 3))
    network[1].weight = network[0].weight
    network[2].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_weights(tmp_path / "w", network)
    state = load_file(tmp_path / "w")
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key])


def changed(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        state = load_file(path)
        change(state)
        save_file(state, path)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 99),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(pickle.dumps([1])),
        changed(lambda state: state.pop("bias")),
        changed(lambda state: state.update(more=torch.ones(2))),
        changed(lambda state: state.update(bias=state["bias"][:1].clone())),
        changed(lambda state: state.update(bias=state["bias"].double())),
        changed(lambda state: state["bias"][:1].fill_(torch.nan)),
        changed(lambda state: state["bias"].fill_(-torch.inf)),
        changed(lambda state: state["bias"].fill_(torch.nan)),  # all NaN, but not in all tensors
    ],
)
def test_load_weights_of_another_file_is_one_line(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path, network = tmp_path / "w.safetensors", nn.Linear(3, 2)
    save_weights(path, network)
    damage(path)
    with pytest.raises(InputError, match=r"w\.safetensors: ") as error:
        load_weights(path, nn.Linear(3, 2))
    assert "\n" not in str(error.value)


def test_load_weights_takes_those_of_a_run_that_diverged(tmp_path: Path) -> None:
    network: Any = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.fill_(torch.nan)
    save_weights(tmp_path / "w", network)
    load_weights(tmp_path / "w", network)
    assert network[1].running_var.isnan().all()
