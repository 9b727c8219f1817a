"""The loss at one point of weight space: its value, the noise of its gradient, its sharpness.

All functions take images x (N, C, H, W) and labels y (N,), in parts that bound the memory. A part
is contiguous where equal channels are not (stride 0): a forward of a user may use `view`.
"""

import math
from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn
from torch.nn.functional import cross_entropy

PART = 64  # rows at a time
SMALL_BATCH = 16
LANCZOS_VECTORS = 8  # each as long as the weights


@torch.inference_mode()
def loss_and_accuracy(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Return the mean cross-entropy, summed in float64, and the share of rows that are right."""
    device = next(network.parameters()).device
    logits = torch.cat([network(rows.to(device).contiguous()).cpu() for rows in x.split(PART)])
    return float(cross_entropy(logits.double(), y)), float((logits.argmax(1) == y).double().mean())


def gradient_noise(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Return the length of the gradient over the rows, and its simple noise scale in rows.

    The scale is tr(Sigma) / |G|^2 of McCandlish et al. 2018 (arXiv:1812.06162), appendix A.1: the
    variance of a single row's gradient over the squared gradient of infinitely many rows. N >= 2
    rows in random order; the gradients of batches of b rows are compared with that of all B rows
    (the last rows, which fill no batch, are left out). NaN where the noise outweighs |G|^2.
    """
    small = min(SMALL_BATCH, len(x) // 2)
    batches = len(x) // small
    large = batches * small
    parameters = trained(network)
    total, squares = torch.zeros((), dtype=torch.float64), 0.0
    for images, labels in zip(x[:large].split(small), y[:large].split(small), strict=True):
        loss = cross_entropy(network(images.contiguous()), labels)
        gradient = flat(torch.autograd.grad(loss, parameters, materialize_grads=True)).double()
        squares += float(gradient @ gradient) / batches
        total = total + gradient / batches
    mean_square = float(total @ total)
    # |G|^2 = (B |G_B|^2 - b |G_b|^2) / (B - b), tr(Sigma) = (|G_b|^2 - |G_B|^2) / (1/b - 1/B)
    squared_gradient = (large * mean_square - small * squares) / (large - small)
    variance = (squares - mean_square) / (1 / small - 1 / large)
    return mean_square**0.5, variance / squared_gradient if squared_gradient > 0 else math.nan


def sharpness(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the largest (not the largest in size) eigenvalue of the Hessian of the mean loss.

    Compare it only between equal networks, and beside their losses: the same function with rescaled
    weights has another sharpness (Dinh et al. 2017, arXiv:1703.04933).
    """
    size = sum(parameter.numel() for parameter in trained(network))
    product = partial(hessian_product, network, x, y)
    start = np.random.default_rng(0).standard_normal(size, np.float32)
    if not product(start).any():
        return 0.0  # a flat point, where ARPACK has nothing to start from
    hessian = LinearOperator((size, size), matvec=product, dtype=np.float32)
    options = {"v0": start, "ncv": min(LANCZOS_VECTORS, size), "tol": 1e-3}
    return float(eigsh(hessian, k=1, which="LA", return_eigenvectors=False, **options)[0])


def hessian_product(
    network: nn.Module, x: torch.Tensor, y: torch.Tensor, vector: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the Hessian of the mean loss times `vector` (number of weights,): Pearlmutter 1994."""
    parameters = trained(network)
    direction = torch.from_numpy(vector.reshape(-1).copy()).to(parameters[0].device)
    total = torch.zeros_like(direction)
    for rows, labels in zip(x.split(PART), y.split(PART), strict=True):
        loss = cross_entropy(network(rows.contiguous()), labels, reduction="sum") / len(x)
        gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
        along = flat(gradients) @ direction
        total += flat(torch.autograd.grad(along, parameters, materialize_grads=True))
    return total.cpu().numpy()


def trained(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def flat(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
