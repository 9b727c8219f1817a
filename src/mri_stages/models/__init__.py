"""The architectures: each file NAME.py defines `make_network(image_shape, n_classes)`.

`arch: NAME` in params.yaml names the file. Further arguments of the function are options, which
`options: {KEY: VALUE}` of a model sets. A network takes images (N, C, H, W) float32 and returns
logits (N, K), without softmax. It may be any nn.Module. The file may also define `augment(images,
generator)` and `loss(logits, labels, weights)`, which `augment: own` and `loss: own` name.
"""

import inspect
import math
import random
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from mri_stages.errors import InputError, is_out_of_memory
from mri_stages.models.layers import Shape

MakeNetwork = Callable[..., nn.Module]
Options = Mapping[str, Any]

N_FIXED_ARGUMENTS = 2  # of `make_network`: image_shape and n_classes
IMPORT_SEED = 0
NO_OPTIONS: Options = MappingProxyType({})


def make_network(
    arch: str, image_shape: Shape, n_classes: int, seed: int, options: Options = NO_OPTIONS
) -> nn.Module:
    """Return a fresh network; `seed` alone decides its initial weights, not the model's name.

    image_shape: (C, H, W). options: further arguments of the file's `make_network`. InputError if
    the file has no such function, or not these options, or if the network fails or does not return
    K logits for an image.
    """
    with explain_network_errors(arch, image_shape):
        make = import_architecture(arch)
    check_options(make, arch, options)
    seed_random_numbers(seed)
    with explain_network_errors(arch, image_shape):
        network = make(image_shape, n_classes, **options)
        check_logits(network, arch, image_shape, n_classes)
    return network


def seed_random_numbers(seed: int) -> None:
    """Seed the global random numbers of PyTorch, NumPy and Python: a user's file may use any."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # it takes no larger one
    random.seed(seed)


class Ensemble(nn.ModuleList):
    """Networks of one architecture that predict together: their probabilities are averaged.

    `average_logits` says what its logits are. `state_dict` names the tensors `0.NAME`, `1.NAME`
    and so on.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # A network may change its input in place, and each of them has to see the same images.
        return average_logits([network(images.clone()) for network in self])


def average_logits(logits_by_network: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return logits (n, K) whose softmax is the mean of the networks' probabilities.

    They are the logarithm of the mean, at least in float32. Those of a single network stay as they
    are.
    """
    if len(logits_by_network) == 1:
        return logits_by_network[0]
    stacked = torch.stack(list(logits_by_network))
    stacked = stacked.to(torch.promote_types(stacked.dtype, torch.float32))
    return stacked.log_softmax(2).logsumexp(0) - math.log(len(stacked))


def make_networks(
    n_networks: int,
    arch: str,
    image_shape: Shape,
    n_classes: int,
    seed: int,
    options: Options = NO_OPTIONS,
) -> nn.Module:
    """Return fresh networks of the seeds seed, seed + 1, ... as one, see `make_network`."""
    networks = [
        make_network(arch, image_shape, n_classes, seed + number, options)
        for number in range(n_networks)
    ]
    return join_networks(networks)


def join_networks(networks: Sequence[nn.Module]) -> nn.Module:
    """Return the networks as an Ensemble, or the only one as it is."""
    if len(networks) == 1:
        return networks[0]
    return Ensemble(networks)


def import_architecture(arch: str) -> MakeNetwork:
    """Return the function `make_network` of the architecture's file; InputError if it has none."""
    module = import_file(arch)
    make: MakeNetwork | None = getattr(module, "make_network", None)
    if make is None:
        raise InputError(
            f"src/mri_stages/models/{arch}.py: no function make_network(image_shape, n_classes)"
        )
    return make


def import_file(arch: str) -> ModuleType:
    """Return the module of an architecture's file.

    What the file draws at random when it is imported is the same in each process, since it is not
    saved with the weights.
    """
    name = f"mri_stages.models.{arch}"
    if name in sys.modules:
        return sys.modules[name]
    with keep_random_state(torch.device("cpu")):
        seed_random_numbers(IMPORT_SEED)
        return import_module(name)


def check_options(make: MakeNetwork, arch: str, options: Options) -> None:
    """Raise InputError for an option that the function does not take, or one that it needs."""
    try:
        arguments = list(inspect.signature(make).parameters.values())
    except ValueError:  # a function in C need not have a signature
        return

    # An option is an argument with a name, behind the two that every architecture takes.
    named_arguments = [
        argument
        for argument in arguments[N_FIXED_ARGUMENTS:]
        if argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY)
    ]
    known_names = [argument.name for argument in named_arguments]
    takes_any_name = any(argument.kind is argument.VAR_KEYWORD for argument in arguments)

    file = f"src/mri_stages/models/{arch}.py"
    for name in options:
        if name not in known_names and not takes_any_name:
            expected = f"one of {', '.join(known_names)}" if known_names else "no options"
            raise InputError(f"{file}: make_network takes no option {name!r}, expected {expected}")
    for argument in named_arguments:
        if argument.default is argument.empty and argument.name not in options:
            raise InputError(
                f"{file}: make_network needs the option {argument.name!r}; write "
                f"`options: {{{argument.name}: VALUE}}` for the model"
            )


def import_own_part(arch: str, name: str, arguments: str) -> Callable[..., Any]:
    """Return the function of the architecture's file that `NAME: own` names in params.yaml.

    arguments: of the function, for the InputError if the file has none.
    """
    module = import_file(arch)
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function):
        raise InputError(
            f"src/mri_stages/models/{arch}.py: no function {name}({arguments}), which "
            f"`{name}: own` in params.yaml names; define it there"
        )
    return function


def describe_network(arch: str, image_shape: Shape) -> str:
    """Return the beginning of a message on a network: its file, and the images that it takes."""
    return f"src/mri_stages/models/{arch}.py: images of (C, H, W) {tuple(image_shape)}"


@contextmanager
def explain_network_errors(
    arch: str, image_shape: Shape, expected: str = "a network that takes such images"
) -> Iterator[None]:
    """Turn any error of a user's file into one InputError that names the file and its line.

    expected: what the file should hold. Errors that say that memory is full pass unchanged.
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # the file is the user's, and may raise any kind
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"{describe_network(arch, image_shape)}: {describe_error(error, arch)}; expected "
            f"{expected}"
        ) from error


@contextmanager
def explain_errors_in_file(arch: str, image_shape: Shape) -> Iterator[None]:
    """Turn an error that passed a user's file into one InputError, during a training.

    Others are faults of the program, and pass unchanged.
    """
    expected = "no error for any batch of a training, also for the smaller last one"
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        if not list_lines_of_file(error, arch):
            raise
        with explain_network_errors(arch, image_shape, expected):
            raise


def describe_error(error: BaseException, arch: str) -> str:
    """Return kind and text of an error in one line, and the last line of the file that it passed.

    arch: names the file.
    """
    lines = list_lines_of_file(error, arch)
    place = f"line {lines[-1]}: " if lines else ""
    text = " ".join(str(error).split())
    return f"{place}{type(error).__name__}: {text}"


def list_lines_of_file(error: BaseException, arch: str) -> list[int | None]:
    """Return the lines of the architecture's file that an error passed, the last one last."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.lineno for frame in frames if Path(frame.filename).name == f"{arch}.py"]


@contextmanager
def keep_random_state(device: torch.device) -> Iterator[None]:
    """Put the global random numbers back at the end.

    They are those of PyTorch, on the CPU and on `device`, of NumPy, and of Python.
    """
    devices = [device] if device.type == "cuda" else []
    numpy_state = np.random.get_state()
    python_state = random.getstate()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


@contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Put the network in eval mode, and each of its modules back in its own mode afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def check_logits(network: nn.Module, arch: str, image_shape: Shape, n_classes: int) -> None:
    """Raise InputError unless one image gives K logits; leave network and random state alone."""
    with keep_random_state(torch.device("cpu")), torch.no_grad(), eval_mode(network):
        output = network(torch.zeros(1, *image_shape))

    if not isinstance(output, torch.Tensor) or output.shape != (1, n_classes):
        raise InputError(
            f"{describe_network(arch, image_shape)}: {describe_output(output)} for one image, "
            f"expected logits (1, {n_classes})"
        )


def describe_output(output: object) -> str:
    """Return the shape of a tensor as text, or the name of another output's type."""
    if isinstance(output, torch.Tensor):
        return str(tuple(output.shape))
    return type(output).__name__
