from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mri_stages.studies.curvature import (
    HESSIAN_BATCH,
    MAX_NOISE_BATCH,
    measure_gradient_noise,
    measure_sharpness,
    multiply_by_hessian,
    project_on_rows,
)


class Example(NamedTuple):
    """A network of 67 weights with ReLU, more rows than one batch, and the full Hessian."""

    network: nn.Module
    images: torch.Tensor
    labels: torch.Tensor
    hessian: np.ndarray


def make_loss(images: torch.Tensor, labels: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the loss as a function of the weights of the network of `example`."""

    def compute_loss(weights: torch.Tensor) -> torch.Tensor:
        w1, b1, w2, b2 = weights.split([48, 4, 12, 3])
        hidden = torch.relu(images.flatten(1) @ w1.view(4, 12).T + b1)
        return cross_entropy(hidden @ w2.view(3, 4).T + b2, labels)

    return compute_loss


@pytest.fixture(scope="module")
def example() -> Example:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3))
    n_rows = 2 * HESSIAN_BATCH + 22
    images = torch.randn(n_rows, 3, 2, 2)
    labels = torch.randint(0, 3, (n_rows,))
    weights = nn.utils.parameters_to_vector(network.parameters()).detach()
    hessian = torch.autograd.functional.hessian(make_loss(images, labels), weights)
    return Example(network, images, labels, hessian.numpy())


def test_multiply_by_hessian_equals_the_full_hessian(example: Example) -> None:
    network, images, labels, hessian = example
    vector = np.random.default_rng(1).standard_normal(len(hessian), np.float32)
    product = multiply_by_hessian(network, images, labels, vector)
    np.testing.assert_allclose(product, hessian @ vector, rtol=1e-3, atol=1e-5)


def test_sharpness_is_the_largest_eigenvalue(example: Example) -> None:
    network, images, labels, hessian = example
    sharpness = measure_sharpness(network, images, labels)
    assert sharpness == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-3)


def test_sharpness_leaves_out_frozen_weights(example: Example) -> None:
    _, images, labels, hessian = example
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3))
    network[1].requires_grad_(False)
    expected = np.linalg.eigvalsh(hessian[52:, 52:])[-1]
    assert measure_sharpness(network, images, labels) == pytest.approx(expected, rel=1e-3)


class Saddle(nn.Module):
    """A loss of label 0 whose Hessian at w = 0 is scale * diag(-3, 1)."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.w = nn.Parameter(torch.zeros(2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logit = self.scale * (3 * self.w[0] ** 2 - self.w[1] ** 2)
        return torch.stack([logit, torch.zeros_like(logit)]).expand(len(images), 2)


def measure_saddle(scale: float) -> float:
    images = torch.zeros(4, 1, 1, 1)
    labels = torch.zeros(4, dtype=torch.int64)
    return measure_sharpness(Saddle(scale), images, labels)


def test_sharpness_of_a_saddle_is_the_positive_eigenvalue() -> None:
    assert measure_saddle(1) == pytest.approx(1, rel=1e-3)


def test_sharpness_of_a_flat_point_is_0() -> None:
    assert measure_saddle(0) == 0


class SoftmaxExample(NamedTuple):
    network: nn.Module
    images: torch.Tensor
    labels: torch.Tensor


def make_linear_softmax(n_rows: int) -> SoftmaxExample:
    """Zero weights without bias: the gradient of a row is (softmax - one-hot) x^T, by hand."""
    linear = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(linear.weight)
    generator = torch.Generator().manual_seed(0)
    means = torch.tensor([3.0, 1.0]).view(2, 1, 1)
    images = torch.randn(n_rows, 2, 1, 1, generator=generator) + means
    network = nn.Sequential(nn.Flatten(), linear)
    return SoftmaxExample(network, images, torch.zeros(n_rows, dtype=torch.int64))


def test_gradient_noise_of_a_linear_model_is_its_closed_form() -> None:
    # g = (-1/2, 1/2) x^T with x ~ N((3, 1), 1): |G|^2 = (1/4 + 1/4) (9 + 1), tr(Sigma) = 1/2 * 2.
    noise = measure_gradient_noise(*make_linear_softmax(40_000))
    assert noise.norm**2 == pytest.approx(5, rel=0.02)
    assert noise.scale == pytest.approx(1 / 5, rel=0.05)


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "n_batches"), [(83, 16, 5), (21, 10, 2), (3, 1, 3)]
)
def test_gradient_noise_leaves_out_a_remainder(
    n_rows: int, batch_size: int, n_batches: int
) -> None:
    network, images, labels = make_linear_softmax(n_rows)
    n_used = batch_size * n_batches
    slopes = torch.tensor([-0.5, 0.5])
    gradients = torch.einsum("k,nd->nkd", slopes, images[:n_used].flatten(1)).double()
    batch_gradients = gradients.view(n_batches, batch_size, 2, 2).mean(1)
    mean_batch_square = float(batch_gradients.pow(2).sum((1, 2)).mean())
    square = float(gradients.mean(0).pow(2).sum())

    limit_square = (n_used * square - batch_size * mean_batch_square) / (n_used - batch_size)
    variance = (mean_batch_square - square) / (1 / batch_size - 1 / n_used)
    noise = measure_gradient_noise(network, images, labels)
    assert noise == pytest.approx((square**0.5, variance / limit_square))


def test_gradient_noise_above_the_gradient_has_no_scale() -> None:
    network, images, labels = make_linear_softmax(2 * MAX_NOISE_BATCH)
    first_batch = images[:MAX_NOISE_BATCH]
    cancelling_images = torch.cat([first_batch, -first_batch])
    assert np.isnan(measure_gradient_noise(network, cancelling_images, labels).scale)


def test_gradient_noise_of_a_flat_point_has_no_scale() -> None:
    network, images, labels = make_linear_softmax(2 * MAX_NOISE_BATCH)
    noise = measure_gradient_noise(network, torch.zeros_like(images), labels)
    assert noise.norm == 0
    assert np.isnan(noise.scale)


def make_wide_rows(equal: bool) -> torch.Tensor:
    """Return six rows of more features than that: three channels, equal or not."""
    generator = torch.Generator().manual_seed(3)
    images = 1 + torch.randn(6, 1 if equal else 3, 4, 5, generator=generator)
    return images.expand(-1, 3, -1, -1)


def make_wide_network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(60, 7), nn.ReLU(), nn.Linear(7, 3))


@pytest.mark.parametrize("equal", [True, False])
def test_projection_on_rows_keeps_the_logits(equal: bool) -> None:
    images = make_wide_rows(equal)
    network = make_wide_network()
    (small_network,), rows = project_on_rows([network], images)
    assert rows.shape == (6, 1, 1, 6)
    torch.testing.assert_close(small_network(rows), network(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("equal", [True, False])
def test_projection_on_rows_keeps_the_curvature(equal: bool) -> None:
    images = make_wide_rows(equal)
    labels = torch.tensor([0, 0, 0, 0, 1, 0])
    network = make_wide_network()
    (small_network,), rows = project_on_rows([network], images)
    noise = list(measure_gradient_noise(network, images, labels))
    small_noise = list(measure_gradient_noise(small_network, rows, labels))
    assert small_noise == pytest.approx(noise, rel=1e-4)
    sharpness = measure_sharpness(network, images[:4], labels[:4])
    small_sharpness = measure_sharpness(small_network, rows[:4], labels[:4])
    assert small_sharpness == pytest.approx(sharpness, rel=1e-3)


@pytest.mark.parametrize(
    ("layers", "n_rows"), [([nn.Conv2d(3, 3, 1)], 6), ([nn.Identity()], 6), ([], 61)], ids=str
)
def test_projection_on_rows_leaves_other_networks_alone(
    layers: list[nn.Module], n_rows: int
) -> None:
    images = torch.ones(n_rows, 3, 4, 5)
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(60, 3))
    (same_network,), rows = project_on_rows([network], images)
    assert same_network is network
    assert rows is images
