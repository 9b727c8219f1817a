"""Frozen parts of a network: what they are, and that a training leaves them as they were."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from mri_stages.config.schema import Model
from mri_stages.errors import InputError
from mri_stages.training.freezing import freeze_parts
from mri_stages.training.loop import train
from tests.helpers.params import DEFAULT_PARAMS

IMAGES = torch.randn(12, 1, 4, 3, generator=torch.Generator().manual_seed(0)) * 3 + 1
LABELS = torch.arange(12) % 2


def make_model(**changes: object) -> Model:
    recipe = {"arch": "simple_nn2", "lr": 0.1, "batch_size": 6, "epochs": 2}
    return Model.model_validate(DEFAULT_PARAMS["train"] | recipe | changes)


def make_network() -> Any:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.BatchNorm1d(5), nn.Dropout(0.1))
    return nn.Sequential(OrderedDict(body=body, body2=nn.Linear(5, 5), head=nn.Linear(5, 2)))


def list_frozen(network: nn.Module) -> list[str]:
    return [name for name, parameter in network.named_parameters() if not parameter.requires_grad]


def test_freeze_parts_takes_whole_names_only() -> None:
    network = make_network()
    freeze_parts(network, "own", ["body", "head.bias"], [])
    assert list_frozen(network) == [
        "body.1.weight", "body.1.bias", "body.2.weight", "body.2.bias", "head.bias"
    ]  # fmt: skip


def test_freeze_parts_puts_batchnorm_alone_in_eval_mode() -> None:
    network = make_network()
    freeze_parts(network, "own", ["body."], [])
    assert [module.training for module in network.body] == [True, True, False, True]


def test_freeze_parts_of_nothing_changes_nothing() -> None:
    network = make_network()
    freeze_parts(network, "own", [], [])
    assert list_frozen(network) == []
    assert network.body[2].training


@pytest.mark.parametrize("prefix", ["bod", "body.7", "tail"])
def test_freeze_parts_names_a_prefix_of_nothing(prefix: str) -> None:
    with pytest.raises(InputError, match=rf"own\.py is under '{prefix}'.*body, body2, head"):
        freeze_parts(make_network(), "own", [prefix], [])


def test_freeze_parts_refuses_what_was_not_filled() -> None:
    with pytest.raises(InputError, match=r"'body' .*: body\.1\.bias$"):
        freeze_parts(make_network(), "own", ["head", "body"], ["body.1.bias", "body2.bias"])


def test_freeze_parts_takes_files_without_step_counts() -> None:
    freeze_parts(make_network(), "own", ["body"], ["body.2.num_batches_tracked"])


SGD: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1}


@pytest.mark.parametrize("changes", [SGD, {"optimizer": "adamw", "weight_decay": 0.1}])
def test_train_leaves_frozen_parts_as_they_were(changes: Mapping[str, Any]) -> None:
    network = make_network()
    freeze_parts(network, "own", ["body"], [])
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train(network, IMAGES, LABELS, make_model(**changes))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith("body."), name


def test_train_with_a_frozen_layer_equals_a_plain_loop() -> None:
    """Plain SGD on layers of the fast path: that path must not take a frozen layer."""
    networks = []
    for _ in range(2):
        torch.manual_seed(1)
        network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
        freeze_parts(network, "own", ["1"], [])
        networks.append(network)

    train(networks[0], IMAGES, LABELS, make_model())
    optimizer = torch.optim.SGD(networks[1][3].parameters(), lr=0.1)
    for _ in range(2):
        for images, labels in zip(IMAGES.split(6), LABELS.split(6), strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(networks[1](images), labels).backward()
            optimizer.step()
    torch.testing.assert_close(networks[0].state_dict(), networks[1].state_dict())
