"""The same network on less arithmetic: exact for plain SGD, but for the rounding of float sums."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils import skip_init

CHUNK_ROWS = 256


class Twin(nn.Module):
    """What trains in place of a network: the same logits and steps, a fraction of the work.

    - Equal channels are one. A first layer that sees C equal channels works with the sum S of
      their weights. Each of these has the same gradient g, so a step is S <- S - C * lr * g.
    - A feature that is 0 in every training row (a constant pixel, scaled) adds nothing to a first
      linear layer, and the gradient of its weights is 0: it is left out.
    - Linear weights step in place (see `LinearStep`), a feature's weights together in memory.
    - Pooling comes before ReLU, which then works on a quarter of the values: the largest of
      rectified values is the largest value, rectified.
    - Convolutions run in channels_last.

    All layers but the first share their weights with the network; `unfold` brings the first home.
    ValueError for a layer that none of this covers.
    """

    def __init__(self, network: nn.Sequential, x: torch.Tensor, lr: float) -> None:
        """x: all training rows (N, C, H, W), C with a stride of 0 where the channels are equal."""
        super().__init__()
        first = next(layer for layer in network if isinstance(layer, nn.Conv2d | nn.Linear))
        if isinstance(first, nn.Conv2d) and (first.groups, first.padding_mode) != (1, "zeros"):
            raise ValueError(f"{first}: a first convolution has one group and pads with zeros")
        self.copies = x.shape[1] if x.stride(1) == 0 else 1
        self.channels = x.shape[1] // self.copies
        # Both kinds of layer keep the weights of a channel together: (out, copies, features).
        self.home = first.weight.detach().view(len(first.weight), self.copies, -1)
        self.start = self.home.sum(1)
        self.active: torch.Tensor | None = None
        if isinstance(first, nn.Linear):
            # The rows may be on the host where the network is not.
            self.active = active_features(x[:, : self.channels]).to(first.weight.device)
            self.start = self.start[:, self.active]

        layers = list(network)
        for place, layer in enumerate(network):
            if isinstance(layer, nn.Linear):
                if layer is first:
                    weight, rate = by_feature(self.start), self.copies * lr
                else:
                    layer.weight.data = by_feature(layer.weight.data)
                    weight, rate = layer.weight.detach(), lr
                layers[place] = InPlaceLinear(weight, layer.bias, rate)
            elif isinstance(layer, nn.Conv2d) and layer is first:
                conv = skip_init(
                    nn.Conv2d,
                    self.channels,
                    len(self.start),
                    layer.kernel_size,
                    stride=layer.stride,
                    padding=layer.padding,
                    dilation=layer.dilation,
                )
                conv.weight = nn.Parameter(self.start.view(conv.weight.shape).clone())
                conv.bias = layer.bias
                layers[place] = conv
            elif isinstance(layer, nn.MaxPool2d) and isinstance(layers[place - 1], nn.ReLU):
                layers[place - 1 : place + 1] = [layer, layers[place - 1]]
        self.first: Any = layers[list(network).index(first)]
        self.layers = nn.Sequential(*layers)
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, K) of rows (n, C, H, W)."""
        rows = images[:, : self.channels]
        if self.active is None:
            rows = rows.contiguous(memory_format=torch.channels_last)
        else:
            rows = rows.flatten(1).index_select(1, self.active)
        logits: torch.Tensor = self.layers(rows)
        return logits

    def optimizer(self, lr: float) -> "PlainSGD":
        """Plain SGD over all but the linear weights, a first convolution at its folded rate."""
        first = self.first.weight
        return PlainSGD([(p, lr * (self.copies if p is first else 1)) for p in self.parameters()])

    @torch.no_grad()
    def unfold(self) -> None:
        """Give the network's first layer what training made of the folded one.

        Each of the C weights of a feature moved by a C-th of what their sum moved by.
        """
        move = (self.first.weight.reshape(self.start.shape) - self.start) / self.copies
        if self.active is None:
            self.home += move[:, None]
        else:
            self.home[:, :, self.active] += move[:, None]


class PlainSGD:
    """torch.optim.SGD without momentum, bit for bit.

    The first use of torch.optim in a process imports PyTorch's compiler, which takes over 2 s: more
    than a small network needs to train.
    """

    def __init__(self, rates: list[tuple[nn.Parameter, float]]) -> None:
        self.rates = rates

    def zero_grad(self) -> None:
        for parameter, _ in self.rates:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for parameter, lr in self.rates:
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=-lr)


def active_features(x: torch.Tensor) -> torch.Tensor:
    """Indices of the features of `x` (N, ...) that are not 0 in every row."""
    active = torch.zeros(x[0].numel(), dtype=torch.bool, device=x.device)
    for rows in x.split(CHUNK_ROWS):
        active |= (rows.flatten(1) != 0).any(0)
    return active.nonzero().squeeze(1)


def by_feature(weight: torch.Tensor) -> torch.Tensor:
    """A copy of weights (out, features) with those of a feature together in memory.

    The step of a wide layer with a small batch then takes a third of the time.
    """
    return weight.t().clone(memory_format=torch.contiguous_format).t()


class InPlaceLinear(nn.Module):
    """nn.Linear whose weight takes its step of plain SGD during backward."""

    def __init__(self, weight: torch.Tensor, bias: nn.Parameter | None, lr: float) -> None:
        super().__init__()
        if bias is None:  # of a first layer nothing else has a gradient: no backward would run
            raise ValueError("a linear layer has a bias")
        self.register_buffer("weight", weight)
        self.bias = bias
        self.lr = lr

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = LinearStep.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, self.lr
        )
        return logits


class LinearStep(torch.autograd.Function):
    """x W^T + b, and in backward W <- W - lr * g^T x, added into W by the matrix product itself.

    A gradient as large as W is never made: for a wide layer, getting its memory from the system,
    writing it and reading it again costs more than the product. The gradient of x is taken first,
    from the W that made the output.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, lr: float
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.lr = lr
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradient.to(weight.dtype)  # after a forward pass in bfloat16
        gradient_x = (gradient @ weight).to(x.dtype) if ctx.needs_input_grad[0] else None
        weight.addmm_(gradient.T, x.to(weight.dtype), alpha=-ctx.lr)
        return gradient_x, None, gradient.sum(0), None
