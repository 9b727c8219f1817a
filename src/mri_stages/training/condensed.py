"""The fast path: train the same network, or predict by it, with less arithmetic.

Training is exact for plain SGD, and prediction for any trained network, except for float rounding.
"""

import copy
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from mri_stages.config.schema import Recipe
from mri_stages.console import print_once
from mri_stages.training.images import (
    Images,
    drop_equal_channels,
    have_equal_channels,
    iterate_batches,
)
from mri_stages.training.optimization import is_plain_sgd
from mri_stages.training.plain_sgd import PlainSgd
from mri_stages.training.row_span import SpanNetwork, flatten_stored_channels

CHUNK_ROWS = 256
EXACT_LAYERS = (nn.Conv2d, nn.Flatten, nn.Linear, nn.MaxPool2d, nn.ReLU)


def condense(
    network: nn.Module,
    images: Images,
    recipe: Recipe,
    products: torch.Tensor | None = None,
) -> "CondensedNetwork | SpanNetwork | None":
    """Return `network` condensed for its training, or None and print a line why not.

    images: (N, C, H, W), all training images; equal channels have a stride of 0. products: (N, N),
    of the rows, see row_span.py, for a network that begins with Flatten and Linear.
    """
    reason = explain_why_plain(network, recipe)
    if reason is not None:
        print_once(f"note: plain training, without the fast path for equal channels: {reason}")
        return None

    assert isinstance(network, nn.Sequential)
    if products is not None:
        assert isinstance(images, torch.Tensor)
        return SpanNetwork(network, images, products)
    layout = choose_layout(network, recipe.precision)
    return CondensedNetwork(network, images, layout)


def choose_layout(network: nn.Module, precision: str) -> torch.memory_format:
    """Return the memory format in which convolutions are fastest."""
    # For float32 without TF32, cuDNN's kernels for channels_last are the slower ones.
    is_on_gpu = next(network.parameters()).is_cuda
    if is_on_gpu and precision == "float32":
        return torch.contiguous_format
    return torch.channels_last


def explain_why_plain(network: nn.Module, recipe: Recipe) -> str | None:
    """Return why a training of the network has no fast path; None if it has one."""
    if not is_plain_sgd(recipe):
        return "its recipe is not plain SGD"
    return explain_why_not_condensed(network)


def is_faster_with_products(network: nn.Module, images: Images, recipe: Recipe) -> bool:
    """Return whether trainings that share the products of their rows should use them.

    The network must begin with Flatten and Linear, and see more features than there are rows. Rows
    that are scaled on reading are not multiplied: who asks for that has no room for all of them.
    """
    if not isinstance(images, torch.Tensor):
        return False
    if explain_why_plain(network, recipe) is not None or recipe.precision == "bf16":
        return False
    assert isinstance(network, nn.Sequential)
    n_features = flatten_stored_channels(images).shape[1]
    return isinstance(network[0], nn.Flatten) and n_features > len(images)


def explain_why_not_condensed(network: nn.Module) -> str | None:
    """Return why a condensed training is not known to be exact for this network; None if it is."""
    reason = explain_why_not_reduced(network)
    if reason is not None:
        return reason

    assert isinstance(network, nn.Sequential)
    parameters = list(network.parameters())
    n_layer_parameters = sum(len(list(layer.parameters())) for layer in network)
    if len(parameters) != n_layer_parameters:
        return "two layers share a parameter"
    for parameter in parameters:
        if not parameter.requires_grad or has_hook(parameter):
            return "a parameter is frozen or has a hook"
    return None


def explain_why_not_reduced(network: nn.Module) -> str | None:
    """Return why reading one of equal channels may change the logits; None if it does not."""
    if type(network) is not nn.Sequential:
        return f"{type(network).__name__} is not a plain nn.Sequential"
    for layer in network:
        if type(layer) not in EXACT_LAYERS:  # a layer with a parametrization has another type
            return f"{type(layer).__name__} is not a layer that can be condensed"
    for module in (network, *network):
        if has_hook_or_own_forward(module):
            return f"{type(module).__name__} has a hook or a forward of its own"

    match list(network):
        case [nn.Conv2d(groups=1, padding_mode="zeros") as first_layer, *_]:
            pass
        case [nn.Flatten(start_dim=1, end_dim=-1), nn.Linear() as first_layer, *_]:
            pass
        case _:
            return "it does not begin with a plain Conv2d, or with Flatten and Linear"
    if not first_layer.weight.is_contiguous():
        return "the weights of its first layer are reordered"
    return None


def has_hook_or_own_forward(module: nn.Module) -> bool:
    """Return whether the module computes more, or something else, than its class says."""
    for name, value in vars(module).items():
        if (name.endswith("_hooks") or name == "forward") and value:
            return True
    return False


def has_hook(parameter: nn.Parameter) -> bool:
    """Return whether a hook sees, or changes, the gradient of the parameter."""
    return bool(parameter._backward_hooks or parameter._post_accumulate_grad_hooks)


class CondensedNetwork(nn.Module):
    """Trains in place of `network`: the same logits and steps with less work.

    - Equal channels are computed once. A first layer that sees C equal channels works with the sum
      S of their weights. Each of these has the same gradient g, so a step is S <- S - C * lr * g.
    - A feature that is 0 in every training row (a constant pixel, scaled) adds nothing to a first
      linear layer, and the gradient of its weights is 0: it is left out.
    - The weights of a first linear layer take their step within `backward`, see `StepInBackward`.
    - Pooling comes before ReLU, which then works on a quarter of the values.
    - Convolutions run in their fastest layout, which is channels_last on a CPU.

    All layers but the first share their parameters with `network`. The first one is separate until
    `expand` writes its weights back.
    """

    def __init__(
        self,
        network: nn.Sequential,
        images: Images,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        """Condense for all training images (N, C, H, W); equal channels have a stride of 0."""
        super().__init__()
        self.n_copies = images.shape[1] if have_equal_channels(images) else 1
        self.n_channels = images.shape[1] // self.n_copies
        self.layout = layout
        self.active_features: torch.Tensor | None = None  # only of a first linear layer

        layers = list(network)
        first_layer: Any = layers.pop(0)
        if isinstance(first_layer, nn.Flatten):
            first_layer = layers.pop(0)

        # In both kinds of layer the weights of a channel lie together: (out, copies, features).
        weight = first_layer.weight.detach()
        self.expanded_weight = weight.view(len(weight), self.n_copies, -1)
        self.start_weight = self.expanded_weight.sum(1)

        if isinstance(first_layer, nn.Linear):
            # The images may be on the host while the network is not.
            active_features = find_active_features(drop_equal_channels(images))
            self.active_features = active_features.to(weight.device)
            self.start_weight = self.start_weight[:, self.active_features]
            self.first: Any = CondensedLinear(self.start_weight, first_layer.bias)
        else:
            self.first = condense_conv(first_layer, self.start_weight)
        self.rest = nn.Sequential(*move_pooling_before_relu(layers))
        self.to(memory_format=layout)  # type: ignore[call-overload]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of images (n, C, H, W)."""
        inputs = images[:, : self.n_channels]
        if self.active_features is None:
            inputs = inputs.contiguous(memory_format=self.layout)
        else:
            inputs = inputs.flatten(1).index_select(1, self.active_features)
        logits: torch.Tensor = self.rest(self.first(inputs))
        return logits

    def select_inputs(self, images: Images) -> Images:
        """Return what batches are taken from: one of equal channels of images (N, C, H, W)."""
        return drop_equal_channels(images)

    def make_optimizer(self, lr: float) -> PlainSgd:
        """Return plain SGD in which a sum of C weights learns C times as fast.

        A first linear layer is not in it, since it takes its steps within `backward`, from now on.
        """
        first_weight = self.first.weight
        first_lr = self.n_copies * lr
        rest = [parameter for parameter in self.parameters() if parameter is not first_weight]
        if isinstance(self.first, CondensedLinear):
            self.first.lr = first_lr
            return PlainSgd([(rest, lr)], fused=True)
        return PlainSgd([([first_weight], first_lr), (rest, lr)], fused=True)

    @torch.no_grad()
    def expand(self) -> None:
        """Move each of the C weights of a feature by one C-th of what their sum moved by."""
        weight = self.first.weight
        weight = weight.t() if isinstance(self.first, CondensedLinear) else weight.flatten(1)
        move = (weight - self.start_weight) / self.n_copies

        # Weights of features that are not active move by 0, which is appended as a last column.
        # This is a gather, since a GPU sorts for `expanded_weight[:, :, active_features] += move`.
        if self.active_features is not None:
            n_features = self.expanded_weight.shape[2]
            n_active = move.shape[1]
            columns = torch.full((n_features,), n_active, device=move.device)
            columns[self.active_features] = torch.arange(n_active, device=move.device)
            move = nn.functional.pad(move, (0, 1)).index_select(1, columns)
        self.expanded_weight += move[:, None]


def reduce_channels(network: nn.Module, n_copies: int) -> nn.Sequential:
    """Return a network with the same logits, within rounding, that reads one of n equal channels.

    network: one that `explain_why_not_reduced` accepts. n_copies: 1 where channels differ.
    As in `CondensedNetwork`, the weights of equal channels are summed, and pooling comes before
    ReLU. The result shares the other layers, so that it is valid until `network` is trained.
    """
    assert isinstance(network, nn.Sequential)
    layers: list[Any] = list(network)
    if n_copies > 1:
        position = 1 if isinstance(layers[0], nn.Flatten) else 0
        first_layer = layers[position]
        weight = first_layer.weight.detach()
        weight = weight.view(len(weight), n_copies, -1).sum(1)
        condense = condense_linear if isinstance(first_layer, nn.Linear) else condense_conv
        layers[position] = condense(first_layer, weight)
    return nn.Sequential(*move_pooling_before_relu(layers))


def condense_linear(linear: nn.Linear, weight: torch.Tensor) -> nn.Linear:
    """Return a copy of `linear` on fewer features, with weights (out, features)."""
    condensed = copy.copy(linear)
    condensed._parameters = {**linear._parameters, "weight": nn.Parameter(weight)}
    condensed.in_features = weight.shape[1]
    return condensed


def condense_conv(conv: nn.Conv2d, weight: torch.Tensor) -> nn.Conv2d:
    """Return a copy of `conv` on fewer channels, with weights (out, channels * kernel)."""
    condensed = copy.copy(conv)
    weight = weight.view(len(weight), -1, *conv.kernel_size).clone()
    condensed._parameters = {**conv._parameters, "weight": nn.Parameter(weight)}
    condensed.in_channels = weight.shape[1]
    return condensed


class CondensedLinear(nn.Module):
    """A first linear layer with weights (features, out): its steps are faster than with (out, ...).

    lr: of the weights, whose step each `backward` takes; 0 until a training sets it.
    """

    def __init__(self, weight: torch.Tensor, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.t().clone(memory_format=torch.contiguous_format))
        self.bias = bias
        self.lr = 0.0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = StepInBackward.apply(inputs, self.weight, self.lr)  # type: ignore[no-untyped-call]
        if self.bias is None:
            return outputs
        return outputs + self.bias


class StepInBackward(torch.autograd.Function):
    """The product x W; in backward W takes its step, W <- W - lr * x^T g, and has no gradient.

    The matrix product subtracts from W what it computes. A gradient as large as W, which would be
    written and read again, is never made: for a wide layer that costs more than the product.
    """

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, lr: float) -> torch.Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.lr = lr
        return inputs @ weight

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, None, None]:
        inputs, weight = ctx.saved_tensors
        gradient = gradient.to(weight.dtype)  # it may be bfloat16
        weight.addmm_(inputs.t(), gradient, alpha=-ctx.lr)
        return None, None, None


def move_pooling_before_relu(layers: list[nn.Module]) -> list[nn.Module]:
    """Return the layers with each pair of ReLU and max pooling swapped, which gives the same."""
    reordered = list(layers)
    for position, (first, second) in enumerate(pairwise(layers)):
        if isinstance(first, nn.ReLU) and isinstance(second, nn.MaxPool2d):
            reordered[position : position + 2] = [second, first]
    return reordered


def find_active_features(images: Images) -> torch.Tensor:
    """Return the indices of the features of images (N, ...) that are not 0 in every row."""
    n_features = images.shape[1:].numel()
    active_mask = torch.zeros(n_features, dtype=torch.bool, device=images.device)
    for rows in iterate_batches(images, CHUNK_ROWS, images.device):
        active_mask |= (rows.flatten(1) != 0).any(0)
    return active_mask.nonzero().squeeze(1)
