"""The loss around one point of weight space: the noise of its gradient, and its sharpness.

All functions take images (N, C, H, W) float32 and labels (N,) int64 on the network's device, and a
network in eval mode. Rows go through it in batches, which bounds the memory. Batches are made
contiguous, since a user's network may call `view`.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn
from torch.nn.functional import cross_entropy

from mri_stages.training.condensed import explain_why_not_condensed
from mri_stages.training.row_span import flatten_stored_channels

HESSIAN_BATCH = 64  # rows
MAX_NOISE_BATCH = 16  # rows
MAX_LANCZOS_VECTORS = 8  # a vector is as long as the weights
LANCZOS_TOLERANCE = 1e-3  # relative


class GradientNoise(NamedTuple):
    norm: float  # the length of the gradient over all rows
    scale: float  # in rows; NaN where the noise outweighs the gradient


def project_on_rows(
    networks: Sequence[nn.Module], images: torch.Tensor
) -> tuple[list[nn.Module], torch.Tensor]:
    """Return smaller networks, and rows (N, 1, 1, N) for them, with the same loss around a point.

    A first linear layer W computes W x, and its gradients are sums of g x^T. In an orthonormal
    basis Q (D, N) of the rows, the layer W Q of the coordinates Q^T x gives the same logits, and
    gradients of the same length. The Hessian has the same eigenvalues, except for zeros.

    Networks that begin otherwise, or see no more features than there are rows, stay as they are.
    """
    has_linear_layers = all(begins_with_linear_layer(network) for network in networks)
    rows = flatten_stored_channels(images)
    n_copies = images[0].numel() // rows.shape[1]
    if not has_linear_layers or rows.shape[1] <= len(rows):
        return list(networks), images

    # C equal channels are as long as one channel of sqrt(C) times the values.
    factor = math.sqrt(n_copies)
    basis, coordinates = torch.linalg.qr(factor * rows.t())
    small_networks = [project_network(network, basis / factor) for network in networks]
    return small_networks, coordinates.t()[:, None, None]


def begins_with_linear_layer(network: nn.Module) -> bool:
    """Return whether the network is known to be Flatten, Linear and other plain layers."""
    if explain_why_not_condensed(network) is not None:
        return False
    assert isinstance(network, nn.Sequential)
    return isinstance(network[0], nn.Flatten)


@torch.no_grad()
def project_network(network: nn.Module, basis: torch.Tensor) -> nn.Module:
    """Return the network for coordinates in `basis` (D, N), of all channels that are equal."""
    assert isinstance(network, nn.Sequential)
    flatten, first_layer, *layers = copy.deepcopy(network)
    assert isinstance(first_layer, nn.Linear)
    n_outputs = first_layer.out_features
    weight = first_layer.weight.view(n_outputs, -1, len(basis)).sum(1)
    first_layer.weight = nn.Parameter(weight @ basis)
    first_layer.in_features = basis.shape[1]
    return nn.Sequential(flatten, first_layer, *layers)


def measure_gradient_noise(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> GradientNoise:
    """Return the length of the gradient over the rows, and its simple noise scale.

    The scale is tr(Sigma) / |G|^2 of McCandlish et al. 2018 (arXiv:1812.06162), appendix A.1: the
    variance of a single row's gradient over the squared gradient of infinitely many rows. It
    compares the gradients of batches of b rows with that of all B rows, so it takes N >= 2 rows in
    random order. The last rows are left out if they fill no batch.
    """
    batch_size = min(MAX_NOISE_BATCH, len(images) // 2)
    n_batches = len(images) // batch_size
    n_rows = n_batches * batch_size
    image_batches = images[:n_rows].split(batch_size)
    label_batches = labels[:n_rows].split(batch_size)

    parameters = list_trained_parameters(network)
    mean_gradient = torch.zeros((), dtype=torch.float64)
    mean_batch_square = 0.0  # |G_b|^2
    for batch, batch_labels in zip(image_batches, label_batches, strict=True):
        loss = cross_entropy(network(batch.contiguous()), batch_labels)
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        gradient = flatten_tensors(gradients).double()
        mean_batch_square += float(gradient @ gradient) / n_batches
        mean_gradient = mean_gradient + gradient / n_batches
    square = float(mean_gradient @ mean_gradient)  # |G_B|^2

    # |G|^2 = (B |G_B|^2 - b |G_b|^2) / (B - b), tr(Sigma) = (|G_b|^2 - |G_B|^2) / (1/b - 1/B)
    limit_square = (n_rows * square - batch_size * mean_batch_square) / (n_rows - batch_size)
    variance = (mean_batch_square - square) / (1 / batch_size - 1 / n_rows)
    scale = variance / limit_square if limit_square > 0 else math.nan
    return GradientNoise(square**0.5, scale)


def measure_sharpness(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the largest (not the largest in size) eigenvalue of the Hessian of the mean loss.

    Compare it only between equal networks, and beside their losses: the same function with rescaled
    weights has another sharpness (Dinh et al. 2017, arXiv:1703.04933).
    """
    n_weights = sum(parameter.numel() for parameter in list_trained_parameters(network))
    multiply = partial(multiply_by_hessian, network, images, labels)
    start = np.random.default_rng(0).standard_normal(n_weights, np.float32)
    if not multiply(start).any():
        return 0.0  # a flat point, where ARPACK has nothing to start from

    hessian = LinearOperator((n_weights, n_weights), matvec=multiply, dtype=np.float32)
    eigenvalues = eigsh(
        hessian,
        k=1,
        which="LA",  # the largest, not the largest in size
        v0=start,
        ncv=min(MAX_LANCZOS_VECTORS, n_weights),
        tol=LANCZOS_TOLERANCE,
        return_eigenvectors=False,
    )
    return float(eigenvalues[0])


def multiply_by_hessian(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, vector: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the Hessian of the mean loss times `vector` (number of weights,): Pearlmutter 1994."""
    parameters = list_trained_parameters(network)
    direction = torch.from_numpy(vector.reshape(-1).copy()).to(parameters[0].device)
    product = torch.zeros_like(direction)

    image_batches = images.split(HESSIAN_BATCH)
    label_batches = labels.split(HESSIAN_BATCH)
    for batch, batch_labels in zip(image_batches, label_batches, strict=True):
        logits = network(batch.contiguous())
        loss = cross_entropy(logits, batch_labels, reduction="sum") / len(images)
        gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
        slope = flatten_tensors(gradients) @ direction
        product += flatten_tensors(torch.autograd.grad(slope, parameters, materialize_grads=True))
    return product.cpu().numpy()


def list_trained_parameters(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def flatten_tensors(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return all values of the tensors as one vector."""
    return torch.cat([tensor.flatten() for tensor in tensors])
