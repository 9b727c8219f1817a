"""Weights on disk: any module's, and nothing that does not fit it."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from mri_stages.errors import InputError
from mri_stages.storage.weights import load_weights, save_weights


def test_load_weights_gives_back_tied_strided_and_nan_ones(tmp_path: Path) -> None:
    path = tmp_path / "models/w.safetensors"
    layers = (nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(2, 2, 3))
    network: Any = nn.Sequential(*layers, nn.BatchNorm2d(2))  # which counts batches in an integer
    other = copy.deepcopy(network)
    network[1].weight = network[0].weight
    network[2].to(memory_format=torch.channels_last)
    for factor in (1, torch.nan):  # NaN: after a run that diverged
        for parameter in network.parameters():
            parameter.data *= factor
        save_weights(path, network)
        load_weights(path, other)
        for key, saved in network.state_dict().items():
            np.testing.assert_array_equal(other.state_dict()[key], saved)
        before = path.read_bytes()
        save_weights(path, other)
        assert path.read_bytes() == before


STATE = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}


@pytest.mark.parametrize(
    "data",
    [
        *(None, save(STATE)[:-1], save({"weight": STATE["weight"]})),
        *(save(STATE | more) for more in ({"bias": torch.ones(1)}, {"more": torch.ones(2)})),
    ],
)
def test_load_weights_of_another_file_names_it(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=r"w\.safetensors: "):
        load_weights(tmp_path / "w.safetensors", nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"weight": torch.ones(2, 9), "bias": torch.ones(9)}, ["weight", "(2, 9)", "(2, 3)"]),
        ({"more": torch.ones(2)}, ["more"]),
    ],
)
def test_load_weights_of_other_images_says_so_in_one_line(
    tmp_path: Path, changes: dict[str, torch.Tensor], named: list[str]
) -> None:
    (tmp_path / "w.safetensors").write_bytes(save(STATE | changes))
    with pytest.raises(InputError) as error:
        load_weights(tmp_path / "w.safetensors", nn.Linear(3, 2))
    text = str(error.value)
    assert "\n" not in text
    for part in [*named, "mri-stages repro"]:
        assert part in text


def test_load_weights_takes_one_network_of_several(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    networks = nn.ModuleList(nn.Linear(3, 2) for _ in range(11))
    save_weights(path, networks)
    for number in (0, 1, 10):
        network = nn.Linear(3, 2)
        load_weights(path, network, prefix=f"{number}.")
        expected = networks[number].state_dict()
        torch.testing.assert_close(network.state_dict(), expected, rtol=0, atol=0)


def test_load_weights_of_a_network_that_is_not_there_names_the_file(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", nn.Linear(3, 2))
    with pytest.raises(InputError, match=r"w\.safetensors: "):
        load_weights(tmp_path / "w.safetensors", nn.Linear(3, 2), prefix="0.")


class Stated(nn.Module):
    """A module whose extra state is given."""

    def __init__(self, state: object) -> None:
        super().__init__()
        self.state = state

    def get_extra_state(self) -> object:
        return self.state

    def set_extra_state(self, state: object) -> None:
        self.state = state


@pytest.mark.parametrize("state", [None, torch.ones(2)])
def test_load_weights_restores_extra_state(tmp_path: Path, state: object) -> None:
    save_weights(tmp_path / "w.safetensors", Stated(state))
    network = Stated(None if state is None else torch.zeros(2))
    load_weights(tmp_path / "w.safetensors", network)
    assert repr(network.state) == repr(state)


def test_save_weights_refuses_other_extra_state(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="get_extra_state returns dict"):
        save_weights(tmp_path / "w.safetensors", Stated({}))
    assert not list(tmp_path.iterdir())
