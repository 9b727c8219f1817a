"""The loss at one point of weight space: its value, how noisy its gradient is, how sharp it is.

All work on the plain network at full size, in float32, and go through the rows in parts, so that
memory is bounded by the weights and not by the rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn

EVALUATION_BATCH = 64
SMALL_BATCH = 16
HESSIAN_CHUNK_ROWS = 64
LANCZOS_VECTORS = 8  # each as long as the weights


@torch.inference_mode()
def loss_and_accuracy(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """The mean cross-entropy, added up in float64, and the share of rows that are right."""
    device = next(network.parameters()).device
    logits = torch.cat([network(rows.to(device)).cpu() for rows in x.split(EVALUATION_BATCH)])
    loss = nn.functional.cross_entropy(logits.double(), y)
    return float(loss), float((logits.argmax(1) == y).double().mean())


class GradientNoise(NamedTuple):
    """Unbiased estimates of the gradient G over infinitely many rows and of its noise."""

    squared_gradient: float  # |G|^2; below 0 where the noise outweighs it
    variance: float  # tr(Sigma): of the gradient of a single row, summed over the weights
    gradient_norm: float  # of the gradient over the rows at hand

    @property
    def scale(self) -> float | None:
        """B_simple = tr(Sigma) / |G|^2, in rows; None where |G|^2 is not positive."""
        return self.variance / self.squared_gradient if self.squared_gradient > 0 else None


def gradient_noise(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> GradientNoise:
    """The simple noise scale of McCandlish et al. 2018 (arXiv:1812.06162), appendix A.1.

    x: (N, C, H, W), y: (N,), N >= 2, in random order. Compares the gradients of batches of b rows
    with that of all B rows (the last ones that fill no batch are left out):

        |G|^2     = (B |G_B|^2 - b |G_b|^2) / (B - b)
        tr(Sigma) = (|G_b|^2 - |G_B|^2) / (1/b - 1/B)

    with |G_b|^2 the mean over the batches.
    """
    small = min(SMALL_BATCH, len(x) // 2)
    batches = len(x) // small
    large = batches * small
    parameters = list(network.parameters())
    total = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in parameters]
    squares = 0.0
    for start in range(0, large, small):
        rows = slice(start, start + small)
        loss = nn.functional.cross_entropy(network(x[rows]), y[rows])
        gradients = torch.autograd.grad(loss, parameters)
        squares += squared_norm(gradients) / batches
        for summed, gradient in zip(total, gradients, strict=True):
            summed += gradient
    mean_square = squared_norm(total) / batches**2
    return GradientNoise(
        (large * mean_square - small * squares) / (large - small),
        (squares - mean_square) / (1 / small - 1 / large),
        mean_square**0.5,
    )


def squared_norm(tensors: Sequence[torch.Tensor]) -> float:
    return sum(float(torch.linalg.vector_norm(t, dtype=torch.float64)) ** 2 for t in tensors)


def sharpness(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The largest (not the largest in size) eigenvalue of the Hessian of the mean cross-entropy.

    By scipy's eigsh (Lanczos, ARPACK), to a relative 1e-3, from products of the Hessian with
    vectors (Pearlmutter 1994: the gradient of gradient times vector). It is not invariant: the same
    function written with rescaled weights has another sharpness (Dinh et al. 2017,
    arXiv:1703.04933). And it vanishes with the loss: rows that are fitted to certainty curve
    nothing. So compare it only between equal networks, and read it beside their losses.
    """
    size = sum(parameter.numel() for parameter in network.parameters())

    def product(vector: NDArray[np.float32]) -> NDArray[np.float32]:
        return hessian_product(network, x, y, vector)

    start = np.random.default_rng(0).standard_normal(size, np.float32)
    if not product(start).any():
        return 0.0  # a flat place, where ARPACK has nothing to start from
    (largest,) = eigsh(
        LinearOperator((size, size), matvec=product, dtype=np.float32),
        k=1,
        which="LA",
        v0=start,
        ncv=min(LANCZOS_VECTORS, size),
        tol=1e-3,
        return_eigenvectors=False,
    )
    return float(largest)


def hessian_product(
    network: nn.Module, x: torch.Tensor, y: torch.Tensor, vector: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The Hessian of the mean cross-entropy over the rows, times `vector` (number of weights,)."""
    parameters = list(network.parameters())
    flat = torch.from_numpy(vector.reshape(-1).copy()).to(parameters[0].device)
    parts = flat.split([parameter.numel() for parameter in parameters])
    direction = [part.view_as(p) for part, p in zip(parts, parameters, strict=True)]
    total = torch.zeros_like(flat)
    chunks = zip(x.split(HESSIAN_CHUNK_ROWS), y.split(HESSIAN_CHUNK_ROWS), strict=True)
    for rows, labels in chunks:
        loss = nn.functional.cross_entropy(network(rows), labels, reduction="sum") / len(x)
        gradients = torch.autograd.grad(loss, parameters, create_graph=True)
        products = torch.autograd.grad(
            gradients, parameters, grad_outputs=direction, materialize_grads=True
        )
        total += torch.cat([product.flatten() for product in products])
    return total.cpu().numpy()
