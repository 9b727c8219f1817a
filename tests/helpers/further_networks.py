"""Further networks that people bring: other layers, other ways to hold weights, other classes.

A name says what is unusual. tests/helpers/networks.py has the common ones.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

Shape = tuple[int, int, int]
Make = Callable[[Shape, int], nn.Module]

WIDTH = 8


class Function(nn.Module):
    """A network of layers by name, whose `forward` is a function of them and the images."""

    def __init__(
        self, compute: Callable[[Any, torch.Tensor], torch.Tensor], **layers: nn.Module
    ) -> None:
        super().__init__()
        self.compute = compute
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.compute(self, images)


def flatten_layers(shape: Shape, n_classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(prod(shape), WIDTH), nn.ReLU(), nn.Linear(WIDTH, n_classes)
    )


def pool(n_channels: int, n_classes: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_channels, n_classes))


class ClassOfItsOwn(nn.Module):
    """A class that is itself the function `make_network`."""

    def __init__(self, image_shape: Shape, n_classes: int) -> None:
        super().__init__()
        self.layers = flatten_layers(image_shape, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(images)
        return logits


def make_lazy(shape: Shape, n_classes: int) -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(WIDTH, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(n_classes))


def make_complex(shape: Shape, n_classes: int) -> nn.Module:
    linear = nn.Linear(prod(shape), n_classes, dtype=torch.complex64)
    return Function(
        lambda net, x: net.linear(x.flatten(1).to(torch.complex64)).abs(), linear=linear
    )


def make_tied(shape: Shape, n_classes: int) -> nn.Module:
    first = nn.Linear(WIDTH, WIDTH)
    second = nn.Linear(WIDTH, WIDTH)
    second.weight = first.weight
    stem = nn.Linear(prod(shape), WIDTH)
    return nn.Sequential(
        nn.Flatten(), stem, first, nn.ReLU(), second, nn.ReLU(), nn.Linear(WIDTH, n_classes)
    )


def make_compiled(shape: Shape, n_classes: int) -> nn.Module:
    # This backend needs no compiler on the machine.
    compiled: Any = torch.compile(flatten_layers(shape, n_classes), backend="eager")
    network: nn.Module = compiled
    return network


def make_pruned(shape: Shape, n_classes: int) -> nn.Module:
    network = flatten_layers(shape, n_classes)
    prune.l1_unstructured(network[1], "weight", amount=0.5)
    return network


def make_spectral_norm(shape: Shape, n_classes: int) -> nn.Module:
    network = flatten_layers(shape, n_classes)
    parametrizations.spectral_norm(network[1])
    return network


def make_orthogonal(shape: Shape, n_classes: int) -> nn.Module:
    network = flatten_layers(shape, n_classes)
    parametrizations.orthogonal(network[3])
    return network


def make_lstm(shape: Shape, n_classes: int) -> nn.Module:
    """Return a network that reads the rows of an image one after the other."""
    channels, _, width = shape
    return Function(
        lambda net, x: net.head(net.lstm(x.permute(0, 2, 1, 3).flatten(2))[0][:, -1]),
        lstm=nn.LSTM(channels * width, WIDTH, batch_first=True, bidirectional=True),
        head=nn.Linear(2 * WIDTH, n_classes),
    )


def make_fft(shape: Shape, n_classes: int) -> nn.Module:
    channels, height, width = shape
    n_features = channels * height * (width // 2 + 1)
    return Function(
        lambda net, x: net.head(torch.fft.rfft2(x).abs().flatten(1)),
        head=nn.Linear(n_features, n_classes),
    )


def make_deep(shape: Shape, n_classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(200):
        layers += [nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(prod(shape), WIDTH), *layers, nn.Linear(WIDTH, n_classes)
    )


def make_sync_batchnorm(shape: Shape, n_classes: int) -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(shape[0], WIDTH, 3), nn.BatchNorm2d(WIDTH), nn.ReLU(), pool(WIDTH, n_classes)
    )
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return converted


def make_instance_norm(shape: Shape, n_classes: int) -> nn.Module:
    norm = nn.InstanceNorm2d(WIDTH, affine=True, track_running_stats=True)
    return nn.Sequential(
        nn.Conv2d(shape[0], WIDTH, 3), norm, nn.PReLU(WIDTH), pool(WIDTH, n_classes)
    )


def make_attention(shape: Shape, n_classes: int) -> nn.Module:
    """Return a network in which the rows of an image attend to each other."""
    channels, _, width = shape
    return Function(
        lambda net, x: net.head(net.layer(net.stem(x.permute(0, 2, 1, 3).flatten(2))).mean(1)),
        stem=nn.Linear(channels * width, WIDTH),
        layer=nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True),
        head=nn.Linear(WIDTH, n_classes),
    )


def make_dense(shape: Shape, n_classes: int) -> nn.Module:
    return Function(
        lambda net, x: net.pool(torch.cat([x, net.conv(x).relu()], 1)),
        conv=nn.Conv2d(shape[0], WIDTH, 3, padding=1),
        pool=pool(shape[0] + WIDTH, n_classes),
    )


def make_squeeze_and_excitation(shape: Shape, n_classes: int) -> nn.Module:
    return Function(
        lambda net, x: net.pool(net.conv(x) * net.gate(x).sigmoid()[:, :, None, None]),
        conv=nn.Sequential(
            nn.Conv2d(shape[0], shape[0], 3, groups=shape[0]), nn.Conv2d(shape[0], WIDTH, 1)
        ),
        gate=pool(shape[0], WIDTH),
        pool=pool(WIDTH, n_classes),
    )


def make_decoder(shape: Shape, n_classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(shape[0], WIDTH, 3, stride=2),
        nn.ConvTranspose2d(WIDTH, WIDTH, 2, stride=2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.GELU(),
        pool(WIDTH, n_classes),
    )


def make_experts(shape: Shape, n_classes: int) -> nn.Module:
    """Return networks in a list, whose logits are mixed by a gate."""

    def compute(net: Any, x: torch.Tensor) -> torch.Tensor:
        logits = torch.stack([expert(x) for expert in net.experts], 2)
        shares: torch.Tensor = net.gate(x).softmax(1)
        return (logits * shares[:, None]).sum(2)

    experts = nn.ModuleList(flatten_layers(shape, n_classes) for _ in range(3))
    return Function(compute, experts=experts, gate=flatten_layers(shape, 3))


class Scales(nn.Module):
    """Parameters in a list and in a dict, and a constant that no file needs."""

    grid: torch.Tensor

    def __init__(self, shape: Shape, n_classes: int) -> None:
        super().__init__()
        n_pixels = prod(shape)
        self.scales = nn.ParameterList([torch.ones(n_pixels), torch.zeros(n_pixels)])
        self.weights = nn.ParameterDict({"head": torch.randn(n_pixels, n_classes) / n_pixels})
        self.register_buffer("grid", torch.linspace(-1, 1, n_pixels), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        factor, shift = self.scales
        logits: torch.Tensor = (images.flatten(1) * factor + self.grid * shift) @ self.weights[
            "head"
        ]
        return logits


class DoubleGradient(torch.autograd.Function):
    """A step that changes nothing, whose gradient counts twice."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return 2 * gradient


def make_own_gradient(shape: Shape, n_classes: int) -> nn.Module:
    double_gradient: Any = DoubleGradient
    return Function(
        lambda net, x: net.head(double_gradient.apply(net.stem(x.flatten(1)))),
        stem=nn.Linear(prod(shape), WIDTH),
        head=nn.Linear(WIDTH, n_classes),
    )


def make_hooked(shape: Shape, n_classes: int) -> nn.Module:
    network = flatten_layers(shape, n_classes)
    network[1].register_forward_hook(lambda module, inputs, output: output.clamp(-1, 1))
    return network


def make_recomputed(shape: Shape, n_classes: int) -> nn.Module:
    """Return a network that computes its activations again for the gradient, to save memory."""
    return Function(
        lambda net, x: checkpoint(net.layers, x, use_reentrant=False),
        layers=flatten_layers(shape, n_classes),
    )


class CountingNorm(nn.BatchNorm2d):
    """A norm with a state of its own, a tensor that `state_dict` holds as extra state."""

    def __init__(self, n_channels: int) -> None:
        super().__init__(n_channels)
        self.extra = torch.zeros(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.extra = self.extra + 1
        return super().forward(x) + self.extra

    def get_extra_state(self) -> torch.Tensor:
        return self.extra

    def set_extra_state(self, state: Any) -> None:
        self.extra = state.clone()


def make_extra_state(shape: Shape, n_classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(shape[0], WIDTH, 3), CountingNorm(WIDTH), pool(WIDTH, n_classes))


FURTHER_NETWORKS: dict[str, Make] = {
    "class": ClassOfItsOwn,
    "lazy": make_lazy,
    "complex": make_complex,
    "tied": make_tied,
    "compiled": make_compiled,
    "pruned": make_pruned,
    "spectral_norm": make_spectral_norm,
    "orthogonal": make_orthogonal,
    "lstm": make_lstm,
    "fft": make_fft,
    "400_layers": make_deep,
    "sync_batchnorm": make_sync_batchnorm,
    "data_parallel": lambda shape, k: nn.DataParallel(flatten_layers(shape, k)),
    "instance_norm": make_instance_norm,
    "attention": make_attention,
    "dense": make_dense,
    "squeeze_and_excitation": make_squeeze_and_excitation,
    "decoder": make_decoder,
    "experts": make_experts,
    "scales": Scales,
    "own_gradient": make_own_gradient,
    "hooked": make_hooked,
    "recomputed": make_recomputed,
    "extra_state": make_extra_state,
}
