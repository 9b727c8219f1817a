"""Trainings in the span of their rows against the plain network and plain SGD."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from mri_stages.models import make_network
from mri_stages.training import row_span
from mri_stages.training.condensed import condense, is_faster_with_products
from mri_stages.training.loop import train
from mri_stages.training.row_span import SpanNetwork, compute_row_products
from tests.helpers.plain_training import (
    N_ROWS,
    assert_same_state,
    make_recipe,
    make_rows,
    make_zoo_network,
    train_plainly,
)

SHAPE = (3, 16, 18)
VALIDATION_MASK = torch.arange(N_ROWS) % 3 == 0


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("lr", [0.01, 1e-8])
def test_span_network_equals_plain(equal: bool, lr: float) -> None:
    network = make_network("simple_nn2", SHAPE, 4, seed=0).double()
    plain = copy.deepcopy(network)
    start = copy.deepcopy(network.state_dict())
    images, labels = make_rows(equal)
    recipe = make_recipe(lr=lr, epochs=6)
    train_plainly(plain, images, labels, recipe)

    train(network, images, labels, recipe, products=compute_row_products(images))

    for name, weight in network.state_dict().items():
        # The updates: at 1e-8 weights hardly move, so equal weights would prove nothing.
        move = weight - start[name]
        expected = plain.state_dict()[name] - start[name]
        assert (move - expected).abs().max() < 1e-5 * expected.abs().max(), name


@pytest.mark.parametrize(
    "changes",
    [
        {"validation": 0.3},
        {"shuffle": True},
        {"class_weights": "balanced"},
        {"label_smoothing": 0.3},
        {"batch_size": 1},
        {"batch_size": N_ROWS},
    ],
    ids=str,
)
def test_train_with_products_equals_a_plain_loop(changes: dict[str, Any]) -> None:
    images, labels = make_rows()
    recipe = make_recipe(**{"epochs": 3, **changes})
    mask = VALIDATION_MASK if recipe.validation else None
    expected = make_zoo_network("no_bias")
    expected_history = train_plainly(expected, images, labels, recipe, mask)

    network = make_zoo_network("no_bias")
    products = compute_row_products(images)
    history = train(network, images, labels, recipe, validation_mask=mask, products=products)

    assert_same_state(network, expected)
    losses = [epoch.train_loss for epoch in history]
    assert losses == pytest.approx([epoch.train_loss for epoch in expected_history])


def test_condense_with_products_needs_no_weights_of_features() -> None:
    images, _ = make_rows()
    network = make_zoo_network("no_bias")
    condensed = condense(network, images, make_recipe(), compute_row_products(images))
    assert isinstance(condensed, SpanNetwork)
    assert condensed.first.coefficients.shape == (N_ROWS, 16)


@pytest.mark.parametrize("equal", [True, False])
def test_row_products_are_those_of_all_pairs(equal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_span, "BLOCK_ROWS", 5)
    images, _ = make_rows(equal)
    rows = (images[:, :1] if equal else images).flatten(1)
    products: Any = compute_row_products(images)
    torch.testing.assert_close(products, rows @ rows.t())


def test_row_products_above_the_limit_are_not_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images, _ = make_rows()
    monkeypatch.setattr(row_span, "MAX_PRODUCTS_BYTES", N_ROWS * N_ROWS * 8 - 1)
    assert compute_row_products(images) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert str(N_ROWS * N_ROWS * 8) in line.replace(",", "")


@pytest.mark.parametrize(
    ("layers", "changes", "expected"),
    [
        ([nn.Flatten(), nn.Linear(864, 4)], {}, True),
        ([nn.Flatten(), nn.Linear(864, 4)], {"momentum": 0.9}, False),
        ([nn.Flatten(), nn.Linear(864, 4)], {"precision": "bf16"}, False),
        ([nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(448, 4)], {}, False),
        ([nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(864, 4)], {}, False),
    ],
    ids=str,
)
def test_products_help_plain_sgd_of_a_first_linear_layer(
    layers: list[nn.Module], changes: dict[str, Any], expected: bool
) -> None:
    images, _ = make_rows()
    recipe = make_recipe(**changes)
    assert is_faster_with_products(nn.Sequential(*layers), images, recipe) is expected


@pytest.mark.parametrize(("n_features", "expected"), [(N_ROWS, False), (N_ROWS + 1, True)])
def test_products_help_with_more_features_than_rows(n_features: int, expected: bool) -> None:
    images = torch.ones(N_ROWS, 1, 1, n_features)
    network = nn.Sequential(nn.Flatten(), nn.Linear(n_features, 4))
    assert is_faster_with_products(network, images, make_recipe()) is expected
