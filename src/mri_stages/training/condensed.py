"""Train the same network with less arithmetic: exact for plain SGD, except for float rounding."""

import copy
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from mri_stages.config.schema import Recipe
from mri_stages.console import print_once
from mri_stages.training.optimization import is_plain_sgd

CHUNK_ROWS = 256
EXACT = (nn.Conv2d, nn.Flatten, nn.Linear, nn.MaxPool2d, nn.ReLU)


def fold(network: nn.Module, x: torch.Tensor, recipe: Recipe) -> "FoldedNetwork | None":
    """Return `network` folded for the training rows x (N, C, H, W), or None and a line why not."""
    reason = reason_not_to_fold(network)
    if not is_plain_sgd(recipe):
        reason = "its recipe is not plain SGD"
    if reason:
        print_once(f"note: plain training, without the fast path for equal channels: {reason}")
        return None
    assert isinstance(network, nn.Sequential)
    # For float32 without TF32, cuDNN's kernels for channels_last are the slower ones.
    slower = next(network.parameters()).is_cuda and recipe.precision == "float32"
    return FoldedNetwork(network, x, torch.contiguous_format if slower else torch.channels_last)


def reason_not_to_fold(network: nn.Module) -> str | None:
    """Return why folding is not known to be exact for this network; None if it is."""
    if type(network) is not nn.Sequential:
        return f"{type(network).__name__} is not a plain nn.Sequential"
    for layer in network:
        if type(layer) not in EXACT:  # also true of a layer with a parametrization
            return f"{type(layer).__name__} is not a layer that folding knows"
    for module in (network, *network):
        own = vars(module).items()
        if any(value for name, value in own if name.endswith("_hooks") or name == "forward"):
            return f"{type(module).__name__} has a hook or a forward of its own"
    parameters = list(network.parameters())
    if len(parameters) != sum(len(list(layer.parameters())) for layer in network):
        return "two layers share a parameter"
    for p in parameters:
        if not p.requires_grad or p._backward_hooks or p._post_accumulate_grad_hooks:
            return "a parameter is frozen or has a hook"
    match list(network):
        case [nn.Conv2d(groups=1, padding_mode="zeros") as first, *_]:
            pass
        case [nn.Flatten(start_dim=1, end_dim=-1), nn.Linear() as first, *_]:
            pass
        case _:
            return "it does not begin with a plain Conv2d, or with Flatten and Linear"
    return None if first.weight.is_contiguous() else "the weights of its first layer are reordered"


class FoldedNetwork(nn.Module):
    """What trains in place of `network`: the same logits and steps, less work.

    - Equal channels are one. A first layer that sees C equal channels works with the sum S of
      their weights. Each of these has the same gradient g, so a step is S <- S - C * lr * g.
    - A feature that is 0 in every training row (a constant pixel, scaled) adds nothing to a first
      linear layer, and the gradient of its weights is 0: it is left out.
    - Pooling comes before ReLU, which then works on a quarter of the values.
    - Convolutions run in their fastest layout, which is channels_last on a CPU.

    All layers but the first share their parameters with `network`; `unfold` writes back the first.
    """

    def __init__(
        self,
        network: nn.Sequential,
        x: torch.Tensor,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        """Fold for all training rows x (N, C, H, W), of which equal channels have a stride of 0."""
        super().__init__()
        self.copies = x.shape[1] if x.stride(1) == 0 else 1
        self.channels = x.shape[1] // self.copies
        self.active: torch.Tensor | None = None
        layers = list(network)
        first: Any = layers.pop(0)
        if isinstance(first, nn.Flatten):
            first = layers.pop(0)
        weight = first.weight.detach()
        # In both kinds of layer the weights of a channel lie together: (out, copies, features).
        self.original = weight.view(len(weight), self.copies, -1)
        self.start = self.original.sum(1)
        if isinstance(first, nn.Linear):
            # The rows may be on the host where the network is not.
            self.active = active_features(x[:, : self.channels]).to(weight.device)
            self.start = self.start[:, self.active]
            self.first: Any = FoldedLinear(self.start, first.bias)
        else:
            self.first = folded_conv(first, self.start)
        self.rest = nn.Sequential(*pooling_before_relu(layers))
        self.layout = layout
        self.to(memory_format=layout)  # type: ignore[call-overload]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of images (n, C, H, W)."""
        rows = images[:, : self.channels]
        if self.active is None:
            rows = rows.contiguous(memory_format=self.layout)
        else:
            rows = rows.flatten(1).index_select(1, self.active)
        logits: torch.Tensor = self.rest(self.first(rows))
        return logits

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        """Return the groups for torch.optim.SGD: a sum of C weights learns C times as fast."""
        others = [p for p in self.parameters() if p is not self.first.weight]
        return [{"params": [self.first.weight], "lr": self.copies * lr}, {"params": others}]

    @torch.no_grad()
    def unfold(self) -> None:
        """Move each of the C weights of a feature by one C-th of what their sum moved by."""
        weight = self.first.weight
        weight = weight.t() if isinstance(self.first, FoldedLinear) else weight.flatten(1)
        move = (weight - self.start) / self.copies
        if self.active is not None:  # a gather, since a GPU sorts for `original[active] += move`
            place = torch.full((self.original.shape[2],), move.shape[1], device=move.device)
            place[self.active] = torch.arange(move.shape[1], device=move.device)
            move = nn.functional.pad(move, (0, 1)).index_select(1, place)
        self.original += move[:, None]


def folded_conv(conv: nn.Conv2d, weight: torch.Tensor) -> nn.Conv2d:
    """Return a copy of `conv` on fewer channels, with weights (out, channels * kernel)."""
    folded = copy.copy(conv)
    weight = weight.view(len(weight), -1, *conv.kernel_size).clone()
    folded._parameters = {**conv._parameters, "weight": nn.Parameter(weight)}
    folded.in_channels = weight.shape[1]
    return folded


class FoldedLinear(nn.Module):
    """A linear layer with weights (features, out): its steps take two thirds of the time."""

    def __init__(self, weight: torch.Tensor, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.t().clone(memory_format=torch.contiguous_format))
        self.bias = bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight if self.bias is None else torch.addmm(self.bias, x, self.weight)


def pooling_before_relu(layers: list[nn.Module]) -> list[nn.Module]:
    for place, (a, b) in enumerate(pairwise(layers)):
        if isinstance(a, nn.ReLU) and isinstance(b, nn.MaxPool2d):
            layers = [*layers[:place], b, a, *layers[place + 2 :]]
    return layers


def active_features(x: torch.Tensor) -> torch.Tensor:
    """Return the indices of the features of `x` (N, ...) that are not 0 in every row."""
    active = torch.zeros(x[0].numel(), dtype=torch.bool, device=x.device)
    for rows in x.split(CHUNK_ROWS):
        active |= (rows.flatten(1) != 0).any(0)
    return active.nonzero().squeeze(1)
