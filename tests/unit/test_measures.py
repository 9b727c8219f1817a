"""The measures of a place in weight space against closed forms and NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from src.measures import (
    SMALL_BATCH,
    gradient_noise,
    hessian_product,
    loss_and_accuracy,
    sharpness,
)


@pytest.fixture
def tiny() -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    """A network of 67 weights with ReLU, and more rows than go through at once."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3))
    return network, torch.randn(150, 3, 2, 2), torch.randint(0, 3, (150,))


def full_hessian(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """In one pass over all rows, by PyTorch."""
    start = nn.utils.parameters_to_vector(network.parameters()).detach()
    shapes = {name: p.shape for name, p in network.named_parameters()}

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([shape.numel() for shape in shapes.values()])
        named = {n: part.view(s) for (n, s), part in zip(shapes.items(), parts, strict=True)}
        logits = torch.func.functional_call(network, named, (x,))
        return nn.functional.cross_entropy(logits, y)

    hessian: np.ndarray = torch.autograd.functional.hessian(loss, start).numpy()
    return hessian


def test_sharpness_is_the_largest_eigenvalue_of_the_full_hessian(
    tiny: tuple[nn.Sequential, torch.Tensor, torch.Tensor],
) -> None:
    network, x, y = tiny
    hessian = full_hessian(network, x, y)
    vector = np.random.default_rng(1).standard_normal(len(hessian), np.float32)
    np.testing.assert_allclose(
        hessian_product(network, x, y, vector), hessian @ vector, rtol=1e-3, atol=1e-5
    )
    assert sharpness(network, x, y) == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-3)


def test_sharpness_is_the_largest_and_not_the_largest_in_size(
    tiny: tuple[nn.Sequential, torch.Tensor, torch.Tensor],
) -> None:
    network, x, y = tiny
    with torch.no_grad():  # nearly no output: the product of the layers curves both ways alike
        for parameter in network.parameters():
            parameter.mul_(0.01)
        list(network.parameters())[1].fill_(1.0)
    y = torch.zeros_like(y)
    eigenvalues = np.linalg.eigvalsh(full_hessian(network, x, y))
    assert eigenvalues[0] < 0 < eigenvalues[-1]
    assert sharpness(network, x, y) == pytest.approx(eigenvalues[-1], rel=1e-3)


def test_a_flat_place_has_no_sharpness() -> None:
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.copy_(torch.tensor([200.0, -200.0]))  # certain, and right
    network = nn.Sequential(nn.Flatten(), linear)
    x, y = torch.ones(4, 2, 1, 1), torch.zeros(4, dtype=torch.int64)
    assert sharpness(network, x, y) == 0


def linear_softmax(n_rows: int) -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    """Zero weights without bias: the gradient of a row is (softmax - one-hot) x^T, by hand."""
    linear = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(linear.weight)
    network = nn.Sequential(nn.Flatten(), linear)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n_rows, 2, 1, 1, generator=generator) + torch.tensor([3.0, 1.0]).view(2, 1, 1)
    return network, x, torch.zeros(n_rows, dtype=torch.int64)


def test_gradient_noise_is_that_of_a_linear_model() -> None:
    # g = (-1/2, 1/2) x^T with x ~ N((3, 1), 1): |G|^2 = (1/4 + 1/4) (9 + 1), tr(Sigma) = 1/2 * 2.
    noise = gradient_noise(*linear_softmax(40_000))
    assert noise.squared_gradient == pytest.approx(5, rel=0.02)
    assert noise.variance == pytest.approx(1, rel=0.05)
    assert noise.scale == pytest.approx(0.2, rel=0.05)


def test_gradient_noise_is_appendix_a_of_mccandlish_row_by_row() -> None:
    network, x, y = linear_softmax(5 * SMALL_BATCH + 3)
    used = 5 * SMALL_BATCH  # the last three fill no batch
    gradients = torch.einsum("k,nd->nkd", torch.tensor([-0.5, 0.5]), x[:used].flatten(1)).double()
    small = gradients.view(5, SMALL_BATCH, 2, 2).mean(1).pow(2).sum((1, 2)).mean()
    large = gradients.mean(0).pow(2).sum()
    noise = gradient_noise(network, x, y)
    g2 = (used * large - SMALL_BATCH * small) / (used - SMALL_BATCH)
    assert noise.squared_gradient == pytest.approx(float(g2))
    assert noise.variance == pytest.approx(float((small - large) / (1 / SMALL_BATCH - 1 / used)))
    assert noise.gradient_norm == pytest.approx(float(large.sqrt()))


def test_the_scale_is_undefined_where_noise_outweighs_the_gradient() -> None:
    network, x, y = linear_softmax(2 * SMALL_BATCH)
    x = torch.cat([x[:SMALL_BATCH], -x[:SMALL_BATCH]])  # the two batches cancel
    noise = gradient_noise(network, x, y)
    assert noise.squared_gradient < 0
    assert noise.scale is None


def test_loss_and_accuracy_in_parts_are_those_of_one_pass(
    tiny: tuple[nn.Sequential, torch.Tensor, torch.Tensor],
) -> None:
    network, x, y = tiny
    logits = network(x).detach()
    loss, accuracy = loss_and_accuracy(network, x, y)
    assert loss == pytest.approx(float(nn.functional.cross_entropy(logits, y)), rel=1e-6)
    assert accuracy == pytest.approx(float((logits.argmax(1) == y).double().mean()))
