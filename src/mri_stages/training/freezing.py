"""Freeze parts of a network: `freeze` of a model."""

from collections.abc import Collection, Iterable, Sequence

from torch import nn

from mri_stages.console import list_some
from mri_stages.errors import InputError

# A count of steps in each BatchNorm, which files of older programs lack. A frozen one uses none.
STEP_COUNT = "num_batches_tracked"


def freeze_parts(
    network: nn.Module, arch: str, prefixes: Sequence[str], fresh_names: Collection[str]
) -> None:
    """Take the gradient from all parameters under the prefixes; keep running statistics there.

    A prefix is the name of a module or of a parameter: `body` has `body.conv.weight` under it, and
    not `body2.weight`. A module with running statistics, such as BatchNorm, is put in eval mode.

    arch: names the network's file. fresh_names: of tensors that a file of trained weights did not
    fill. InputError for a prefix that nothing is under, for a tensor that is fresh, or where all
    parameters are frozen.
    """
    names = [name for name, _ in network.named_parameters(remove_duplicate=False)]
    names += [name for name, _ in network.named_buffers(remove_duplicate=False)]
    for prefix in prefixes:
        frozen_names = [name for name in names if is_under(name, prefix)]
        check_prefix(prefix, frozen_names, names, arch)
        check_filled(prefix, frozen_names, fresh_names, arch)

        for name, parameter in network.named_parameters(remove_duplicate=False):
            if is_under(name, prefix):
                parameter.requires_grad = False
        for name, module in network.named_modules(remove_duplicate=False):
            if is_under(name, prefix) and getattr(module, "running_mean", None) is not None:
                module.eval()

    if prefixes and not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError(
            f"params.yaml: freeze: {', '.join(prefixes)}: no parameter of "
            f"src/mri_stages/models/{arch}.py is left to train"
        )


def is_under(name: str, prefix: str) -> bool:
    """Return whether a dotted name is the prefix, or begins with it and a dot."""
    return f"{name}.".startswith(f"{prefix.removesuffix('.')}.")


def check_prefix(prefix: str, frozen_names: Sequence[str], names: Iterable[str], arch: str) -> None:
    """Raise InputError if no parameter or buffer is under the prefix."""
    if not frozen_names:
        parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
        raise InputError(
            f"params.yaml: freeze: nothing in src/mri_stages/models/{arch}.py is under {prefix!r}; "
            f"its parts are {parts}"
        )


def check_filled(
    prefix: str, frozen_names: Sequence[str], fresh_names: Collection[str], arch: str
) -> None:
    """Raise InputError if a tensor under the prefix is not from the file of trained weights."""
    fresh_frozen_names = [
        name for name in frozen_names if name in fresh_names and not name.endswith(STEP_COUNT)
    ]
    if fresh_frozen_names:
        raise InputError(
            f"params.yaml: freeze: {prefix!r} has tensors of src/mri_stages/models/{arch}.py that "
            f"the file of weights did not fill: {list_some(fresh_frozen_names)}"
        )
