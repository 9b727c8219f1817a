"""SGD with a constant learning rate and no momentum, by the function behind torch.optim.SGD.

That class imports PyTorch's compiler at its first step, which takes 1.3 s: longer than many a
training here.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.sgd import sgd


class PlainSgd:
    """An optimizer without a state, to be used like one of torch.optim."""

    def __init__(
        self,
        groups: Iterable[tuple[Iterable[nn.Parameter], float]],
        weight_decay: float = 0,
        fused: bool | None = None,
    ) -> None:
        """Take groups of parameters with their learning rates; the rest is as in torch.optim."""
        self.groups = [(list(parameters), lr) for parameters, lr in groups]
        self.weight_decay = weight_decay
        self.fused = fused

    def zero_grad(self) -> None:
        """Remove all gradients."""
        for parameters, _ in self.groups:
            for parameter in parameters:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient."""
        for group, lr in self.groups:
            parameters: list[torch.Tensor] = [
                parameter for parameter in group if parameter.grad is not None
            ]
            gradients = [parameter.grad for parameter in group if parameter.grad is not None]
            sgd(
                parameters,
                gradients,
                [],
                has_sparse_grad=any(gradient.is_sparse for gradient in gradients),
                fused=self.fused,
                lr=lr,
                weight_decay=self.weight_decay,
                momentum=0,
                dampening=0,
                nesterov=False,
                maximize=False,
            )

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: a training that resumes makes the same optimizer again."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` returned, which is nothing."""
