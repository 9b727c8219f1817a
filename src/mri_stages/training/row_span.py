"""The fast path of trainings that share their rows: they share the products of all pairs of rows.

X (N, D) are all rows, and W (out, D) the weights of a first linear layer, which begin as W0. A step
of plain SGD with the rows x (B, D) adds -lr g^T x to W, where g (B, out) is the gradient with
respect to x W^T. So the weights stay in the span of the rows: W = W0 + A^T X, where A (N, out) sums
-lr g of all steps.

For the rows of X the layer computes X W^T = X W0^T + (X X^T) A. With X X^T (N, N) at hand, a step
reads B rows of it and A, and changes B rows of A. That is N * out values, in place of D * out.
"""

from typing import Any

import torch
from torch import nn

from mri_stages.console import print_once
from mri_stages.training.images import Images
from mri_stages.training.plain_sgd import PlainSgd

BLOCK_ROWS = 256
MAX_PRODUCTS_BYTES = 2**30  # of N * N numbers: 16,384 rows


def compute_row_products(images: torch.Tensor) -> torch.Tensor | None:
    """Return X X^T (N, N) of images (N, C, H, W), of which equal channels (of stride 0) count once.

    None and a line if that takes more than MAX_PRODUCTS_BYTES.
    """
    rows = flatten_stored_channels(images)
    n_rows = len(rows)
    n_bytes = n_rows * n_rows * rows.itemsize
    if n_bytes > MAX_PRODUCTS_BYTES:
        print_once(
            f"note: each training multiplies its rows itself: the products of {n_rows:,} rows "
            f"would take {n_bytes:,} bytes, expected at most {MAX_PRODUCTS_BYTES:,}"
        )
        return None

    products = torch.empty(n_rows, n_rows, dtype=rows.dtype)
    for start in range(0, n_rows, BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        block_products = rows[block] @ rows[start:].t()
        products[block, start:] = block_products
        products[start:, block] = block_products.t()
    return products


def flatten_stored_channels(images: torch.Tensor) -> torch.Tensor:
    """Return images (N, C, H, W) as rows (N, D); equal channels, of stride 0, are there once."""
    stored = images[:, :1] if images.stride(1) == 0 else images
    return stored.flatten(1)


class SpanNetwork(nn.Module):
    """Trains in place of `network`, as CondensedNetwork does, in the span of its training rows.

    It takes numbers of rows (n, 1, 1, 1) in place of images. All layers but the first share their
    parameters with `network`. The first one is separate until `expand` writes its weights back.
    """

    def __init__(
        self, network: nn.Sequential, images: torch.Tensor, products: torch.Tensor
    ) -> None:
        """Prepare for all training images (N, C, H, W) and their products (N, N).

        network: Flatten, Linear, and any layers.
        """
        super().__init__()
        _, first_layer, *layers = network
        assert isinstance(first_layer, nn.Linear)
        self.rows = flatten_stored_channels(images)
        self.n_copies = images[0].numel() // self.rows.shape[1]

        # The weights of a channel lie together. Equal channels see the sum of their weights.
        weight = first_layer.weight.detach()
        self.expanded_weight = weight.view(len(weight), self.n_copies, -1)
        start_outputs = self.rows @ self.expanded_weight.sum(1).t()
        self.first = SpanLinear(start_outputs, products, first_layer.bias)
        self.rest = nn.Sequential(*layers)

    def forward(self, row_numbers: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of the rows of these numbers (n, 1, 1, 1)."""
        logits: torch.Tensor = self.rest(self.first(row_numbers.flatten()))
        return logits

    def select_inputs(self, images: Images) -> Images:
        """Return what stands for all images (N, C, H, W) in batches: their numbers."""
        return torch.arange(len(images)).view(-1, 1, 1, 1)

    def make_optimizer(self, lr: float) -> PlainSgd:
        """Return plain SGD for all but the first layer, which from now on learns in `backward`."""
        self.first.lr = self.n_copies * lr  # a sum of C weights learns C times as fast
        coefficients = self.first.coefficients
        rest = [parameter for parameter in self.parameters() if parameter is not coefficients]
        return PlainSgd([(rest, lr)], fused=True)

    @torch.no_grad()
    def expand(self) -> None:
        """Move each of the C weights of a feature by one C-th of what their sum moved by."""
        move = self.first.coefficients.t() @ self.rows / self.n_copies
        self.expanded_weight += move[:, None]


class SpanLinear(nn.Module):
    """A first linear layer as coefficients A (N, out), for the rows of given numbers.

    lr: of the weights, whose step each `backward` takes; 0 until a training sets it.
    """

    def __init__(
        self, start_outputs: torch.Tensor, products: torch.Tensor, bias: nn.Parameter | None
    ) -> None:
        super().__init__()
        self.start_outputs = start_outputs
        self.products = products
        self.coefficients = nn.Parameter(torch.zeros_like(start_outputs))
        self.bias = bias
        self.lr = 0.0

    def forward(self, row_numbers: torch.Tensor) -> torch.Tensor:
        moves: torch.Tensor = SpanStepInBackward.apply(  # type: ignore[no-untyped-call]
            row_numbers, self.products, self.coefficients, self.lr
        )
        outputs = self.start_outputs[row_numbers] + moves
        if self.bias is None:
            return outputs
        return outputs + self.bias


class SpanStepInBackward(torch.autograd.Function):
    """The product of rows of X X^T with A; in backward these rows of A take their step."""

    @staticmethod
    def forward(
        ctx: Any,
        row_numbers: torch.Tensor,
        products: torch.Tensor,
        coefficients: torch.Tensor,
        lr: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(row_numbers, coefficients)
        ctx.lr = lr
        return products[row_numbers] @ coefficients

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, None, None, None]:
        row_numbers, coefficients = ctx.saved_tensors
        coefficients.index_add_(0, row_numbers, gradient, alpha=-ctx.lr)
        return None, None, None, None
