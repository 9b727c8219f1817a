import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mri_stages.studies.curvature import (
    SMALL_BATCH,
    gradient_noise,
    hessian_product,
    loss_and_accuracy,
    sharpness,
)

Example = tuple[nn.Sequential, torch.Tensor, torch.Tensor]


def test_sharpness_loss_and_accuracy_equal_the_full_hessian_and_one_pass() -> None:
    torch.manual_seed(0)  # 67 weights with ReLU, and more rows than go through at once
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3))
    x, y = torch.randn(150, 3, 2, 2), torch.randint(0, 3, (150,))

    def loss(weights: torch.Tensor) -> torch.Tensor:
        w1, b1, w2, b2 = weights.split([48, 4, 12, 3])
        hidden = torch.relu(x.flatten(1) @ w1.view(4, 12).T + b1)
        return cross_entropy(hidden @ w2.view(3, 4).T + b2, y)

    weights = nn.utils.parameters_to_vector(network.parameters()).detach()
    hessian = torch.autograd.functional.hessian(loss, weights).numpy()
    vector = np.random.default_rng(1).standard_normal(len(hessian), np.float32)
    product = hessian_product(network, x, y, vector)
    np.testing.assert_allclose(product, hessian @ vector, rtol=1e-3, atol=1e-5)
    assert sharpness(network, x, y) == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-3)
    logits = network(x).detach()
    expected = float(cross_entropy(logits, y)), float((logits.argmax(1) == y).double().mean())
    assert loss_and_accuracy(network, x, y) == pytest.approx(expected, rel=1e-6)


class Saddle(nn.Module):
    """Its loss of label 0 at w = 0 has the Hessian scale * diag(-3, 1)."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale, self.w = scale, nn.Parameter(torch.zeros(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logit = self.scale * (3 * self.w[0] ** 2 - self.w[1] ** 2)
        return torch.stack([logit, torch.zeros_like(logit)]).expand(len(x), 2)


@pytest.mark.parametrize("scale", [1, 0])  # 0: a flat point
def test_sharpness_with_a_larger_negative_eigenvalue_is_the_positive_one(scale: float) -> None:
    x, y = torch.zeros(4, 1, 1, 1), torch.zeros(4, dtype=torch.int64)
    assert sharpness(Saddle(scale), x, y) == pytest.approx(scale, rel=1e-3)


def linear_softmax(n_rows: int) -> Example:
    """Zero weights without bias: the gradient of a row is (softmax - one-hot) x^T, by hand."""
    linear = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(linear.weight)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n_rows, 2, 1, 1, generator=generator) + torch.tensor([3.0, 1.0]).view(2, 1, 1)
    return nn.Sequential(nn.Flatten(), linear), x, torch.zeros(n_rows, dtype=torch.int64)


def test_gradient_noise_of_a_linear_model_is_its_closed_form() -> None:
    # g = (-1/2, 1/2) x^T with x ~ N((3, 1), 1): |G|^2 = (1/4 + 1/4) (9 + 1), tr(Sigma) = 1/2 * 2.
    norm, scale = gradient_noise(*linear_softmax(40_000))
    assert norm**2 == pytest.approx(5, rel=0.02)
    assert scale == pytest.approx(1 / 5, rel=0.05)


@pytest.mark.parametrize(("n_rows", "small", "batches"), [(83, 16, 5), (21, 10, 2)])
def test_gradient_noise_leaves_out_a_remainder(n_rows: int, small: int, batches: int) -> None:
    network, x, y = linear_softmax(n_rows)
    used = batches * small
    gradients = torch.einsum("k,nd->nkd", torch.tensor([-0.5, 0.5]), x[:used].flatten(1)).double()
    of_small = gradients.view(batches, small, 2, 2).mean(1).pow(2).sum((1, 2)).mean()
    of_all = gradients.mean(0).pow(2).sum()
    norm, scale = gradient_noise(network, x, y)
    squared = (used * of_all - small * of_small) / (used - small)
    variance = (of_small - of_all) / (1 / small - 1 / used)
    assert (norm, scale) == pytest.approx((float(of_all.sqrt()), float(variance / squared)))


def test_scale_where_noise_outweighs_the_gradient_is_undefined() -> None:
    network, x, y = linear_softmax(2 * SMALL_BATCH)
    x = torch.cat([x[:SMALL_BATCH], -x[:SMALL_BATCH]])  # the two batches cancel
    _, scale = gradient_noise(network, x, y)
    assert np.isnan(scale)
