"""Checks of a network on a few rows of the data: before its training, and after it.

They work on networks of their own, made with the model's seed, and put the random numbers of
PyTorch, NumPy and Python back. So they leave no trace in the bytes of a result.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from mri_stages.console import list_some, print_once
from mri_stages.errors import InputError
from mri_stages.models import (
    describe_network,
    describe_output,
    eval_mode,
    explain_network_errors,
    keep_random_state,
)
from mri_stages.storage.arrays import Shape
from mri_stages.storage.weights import collect_tensors, fill_network
from mri_stages.training.images import Images, read_first_images

N_PROBED_ROWS = 4
MAX_DIFFERENCE = 1e-3  # of two outputs that should be equal, relative to the largest
N_ROUNDING_STEPS = 8  # of the network's least exact type, where these are larger
OTHER_BATCH_FACTOR = 1.25  # between the pixels of two batches that share their first image
PROBABILITY_SUM_TOLERANCE = 1e-4  # of the probabilities of a row, from 1

MakeFresh = Callable[[], nn.Module]


class NetworkChecks:
    """The checks of one model. Every message names its file and the shape of its images."""

    def __init__(
        self,
        arch: str,
        image_shape: Shape,
        n_classes: int,
        images: Images,
        device: torch.device,
        make_fresh: MakeFresh,
    ) -> None:
        """Prepare the checks.

        images: (N, C, H, W) scaled training rows, of which a few are probed on `device`.
        make_fresh: returns a network as it is before training, on the CPU; it may seed PyTorch.
        """
        self.name = describe_network(arch, image_shape)
        self.explain_errors = partial(explain_network_errors, arch, image_shape)
        self.n_classes = n_classes
        self.rows = read_first_images(images, N_PROBED_ROWS, device)
        self.device = device
        self.make_fresh = make_fresh

    def check_fresh_network(self) -> None:
        """Raise InputError if a network cannot be trained, used for prediction, and saved."""
        with keep_random_state(self.device), self.explain_errors():
            network = self.make_network()
            self.check_trainable(network)
            self.check_saved_kinds(network)

            logits = self.predict(network, self.rows)
            self.check_logits(logits, "in eval mode")
            if self.is_repeatable(network):
                self.check_independent_rows(network)
            warn_of_probabilities(logits, self.name)

            self.check_training_mode(network)
            self.check_restored(network)

    def check_trained_network(self, network: nn.Module) -> None:
        """Raise InputError if the saved weights, in a fresh network, give other outputs."""
        with keep_random_state(self.device), keep_buffers(network), self.explain_errors():
            self.check_restored(network)

    def make_network(self) -> nn.Module:
        return self.make_fresh().to(self.device)

    @torch.no_grad()
    def predict(self, network: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        """Return the outputs for rows (n, C, H, W) in eval mode; a network may change its input."""
        with eval_mode(network):
            logits: torch.Tensor = network(rows.clone())
        return logits

    def check_trainable(self, network: nn.Module) -> None:
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise InputError(
                f"{self.name}: no parameter has requires_grad, expected one that can be trained"
            )

    def check_saved_kinds(self, network: nn.Module) -> None:
        try:
            collect_tensors(network)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None

    def check_logits(self, logits: object, mode: str) -> None:
        """Raise InputError unless the network returned finite logits (n, K)."""
        shape = (len(self.rows), self.n_classes)
        description = describe_output(logits)
        if not isinstance(logits, torch.Tensor) or logits.shape != shape:
            raise InputError(
                f"{self.name}: {description} for {shape[0]} images {mode}, expected logits "
                f"{shape}; return these alone"
            )
        if not logits.is_floating_point():
            raise InputError(
                f"{self.name}: outputs of {logits.dtype} {mode}, expected logits of real numbers, "
                "such as float32"
            )
        if not logits.isfinite().all():
            raise InputError(
                f"{self.name}: NaN or infinity for scaled training images {mode}, before any "
                "training; expected finite logits"
            )

    def is_repeatable(self, network: nn.Module) -> bool:
        """Return whether two passes in eval mode agree; warn if the first one changes the network.

        InputError if the outputs are random.
        """
        random_states = self.list_random_states()
        logits = self.predict(network, self.rows)
        is_random = self.list_random_states() != random_states
        if not outputs_differ(network, self.predict(network, self.rows), logits):
            return True
        if is_random:
            raise InputError(
                f"{self.name}: two passes of the same images differ in eval mode, expected equal "
                "outputs; write F.dropout(x, p, training=self.training), or nn.Dropout"
            )
        print_once(
            f"warning: {self.name}: a pass in eval mode changes the outputs of the next one, so "
            "predictions depend on the order of the images; freeze its statistics in eval mode"
        )
        return False

    def list_random_states(self) -> list[object]:
        """Return the states of all global random numbers, also those of the device."""
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        numpy_state = np.random.get_state(legacy=False)
        return [*(state.tolist() for state in states), repr(numpy_state), random.getstate()]

    def check_independent_rows(self, network: nn.Module) -> None:
        """Raise InputError if outputs in eval mode are computed with the other images of a batch.

        A branch on the whole batch, such as `if x.sum() > 0`, is a warning.
        """
        logits = self.predict(network, self.rows)
        for index in (0, len(self.rows) - 1):
            other_batch = self.rows * OTHER_BATCH_FACTOR
            other_batch[index] = self.rows[index]
            outputs = self.predict(network, other_batch)
            if outputs_differ(network, outputs[[index]], logits[[index]]):
                raise InputError(
                    f"{self.name}: in eval mode the outputs for an image depend on the other "
                    "images of its batch, expected none; use no statistics over the batch "
                    "(dimension 0)"
                )
        if outputs_differ(network, self.predict(network, self.rows[:1]), logits[:1]):
            print_once(
                f"warning: {self.name}: an image alone and the same image in a batch have other "
                "outputs; is there a branch on the whole batch, such as `if x.sum() > 0`?"
            )

    def check_training_mode(self, network: nn.Module) -> None:
        """Raise InputError unless the network returns logits with a gradient in training mode."""
        network.train()
        if len(self.rows) == 1:  # BatchNorm refuses one row
            return
        logits = network(self.rows.clone())
        self.check_logits(logits, "in training mode")
        if not logits.requires_grad:
            raise InputError(
                f"{self.name}: the logits have no gradient in training mode, so nothing would be "
                "trained; remove torch.no_grad(), detach() and .data around them"
            )

    def check_restored(self, network: nn.Module) -> None:
        """Raise InputError if what is saved, in a fresh network, gives other outputs."""
        fresh_network = self.make_network()
        self.check_own_parameters(network, fresh_network)
        unsaved_before = list_unsaved_values(fresh_network)
        fill_network(fresh_network, collect_tensors(network))

        expected = self.predict(network, self.rows)
        if outputs_differ(network, self.predict(fresh_network, self.rows), expected):
            changed = list_changed_names(unsaved_before, list_unsaved_values(network))
            names = list_some(changed) or "a part of its state"
            raise InputError(
                f"{self.name}: the saved weights give other outputs than the network itself, "
                f"because {names} is not saved; register it as a buffer "
                "(self.register_buffer, without persistent=False)"
            )

    def check_own_parameters(self, network: nn.Module, fresh_network: nn.Module) -> None:
        """Raise InputError if two calls of make_network return networks that share parameters.

        A fold, or a network of an ensemble, would begin with what another one has learned.
        """
        fresh_ids = {id(parameter) for parameter in fresh_network.parameters()}
        shared_names = [
            name for name, parameter in network.named_parameters() if id(parameter) in fresh_ids
        ]
        if shared_names:
            raise InputError(
                f"{self.name}: two networks share {list_some(shared_names)}, so that a training "
                "would begin with what another one learned; make all parts inside make_network"
            )


@contextmanager
def keep_buffers(network: nn.Module) -> Iterator[None]:
    """Put the buffers of a network back at the end: some networks change them in eval mode too."""
    values = [(buffer, buffer.detach().clone()) for buffer in network.buffers()]
    yield
    with torch.no_grad():
        for buffer, value in values:
            buffer.copy_(value)


def outputs_differ(network: nn.Module, outputs: torch.Tensor, expected: torch.Tensor) -> bool:
    """Return whether outputs (n, K) of a network differ by more than rounding; NaN equals NaN."""
    tolerance = max(MAX_DIFFERENCE, N_ROUNDING_STEPS * find_rounding_step(network))
    outputs = outputs.double()
    expected = expected.double()
    scale = float(expected.nan_to_num(0, 0, 0).abs().max())
    return not torch.allclose(outputs, expected, rtol=0, atol=tolerance * scale, equal_nan=True)


def find_rounding_step(network: nn.Module) -> float:
    """Return the rounding step at 1 of the network's least exact type of parameters."""
    types = {parameter.dtype for parameter in network.parameters() if parameter.is_floating_point()}
    return max((torch.finfo(dtype).eps for dtype in types), default=0.0)


def warn_of_probabilities(logits: torch.Tensor, name: str) -> None:
    """Print a warning if the outputs (n, K) are probabilities, as after a softmax."""
    sums = logits.double().sum(1)
    is_sum_1 = bool(((sums - 1).abs() < PROBABILITY_SUM_TOLERANCE).all())
    if is_sum_1 and bool((logits >= 0).all()):
        print_once(
            f"warning: {name}: the outputs are not negative and sum to 1, as after a softmax; "
            "expected logits: the loss applies a softmax itself, so remove yours"
        )


def list_unsaved_values(network: nn.Module) -> dict[str, Any]:
    """Return a network's values that `state_dict` leaves out, by name, as tensors or as text.

    They are buffers that are not persistent, and attributes of modules.
    """
    saved_names = network.state_dict().keys()
    values: dict[str, Any] = {}
    for name, buffer in network.named_buffers():
        if name not in saved_names:
            values[f"the buffer {name}"] = buffer.detach().cpu().clone()
    for module_name, module in network.named_modules():
        prefix = f"{module_name}." if module_name else ""
        for attribute, value in vars(module).items():
            if attribute != "training" and not attribute.startswith("_"):
                values[f"the attribute {prefix}{attribute}"] = copy_plain_value(value)
    return values


def copy_plain_value(value: Any) -> Any:
    """Return a copy of a tensor, the text of a plain value, or the name of another one's type."""
    match value:
        case torch.Tensor():
            return value.detach().cpu().clone()
        case bool() | int() | float() | str() | list() | tuple() | dict():
            return repr(value)
    return type(value).__name__


def list_changed_names(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the names whose values differ, and those that are new."""
    names = []
    for name, value in after.items():
        if name not in before or not is_equal(before[name], value):
            names.append(name)
    return names


def is_equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return first.shape == second.shape and bool(torch.equal(first, second))
    return bool(first == second)
