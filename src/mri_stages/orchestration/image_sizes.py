"""Tell which models can take images of a size, before any of them trains.

A network is built without memory for its weights where it allows that: it is built on PyTorch's
device "meta", which draws no initial weights, and gets memory that nothing has written to. The
shapes that it computes are right, its numbers mean nothing.
"""

import math
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

import torch
from torch import nn

from mri_stages.config.schema import Model
from mri_stages.console import make_printable
from mri_stages.errors import InputError, is_out_of_memory
from mri_stages.models import (
    NO_OPTIONS,
    Options,
    check_logits,
    check_options,
    describe_error,
    explain_network_errors,
    import_architecture,
    make_network,
)
from mri_stages.models.layers import Shape

# Sides of square images in pixels. The smallest side is searched between a side that an
# architecture refuses and the next one here, which it takes. Many published networks take 224.
TRIED_SIDES = (1, 2, 4, 8, 16, 32, 64, 128, 224, 256)
MAX_REASON_LETTERS = 200


class RefusalKind(Enum):
    """What is wrong with a model; the value is what a user reads."""

    IMAGES = "images do not fit"
    FILE = "cannot be used"
    """Its file cannot be imported, lacks `make_network`, or takes other options: no image helps."""


class Refusal(NamedTuple):
    """Why an architecture cannot take the images."""

    reason: str
    smallest_side: int | None
    """Of a square image that would be large enough, in pixels; None if size is not the reason."""
    kind: RefusalKind = RefusalKind.IMAGES


def build_for_shapes(
    arch: str, image_shape: Shape, n_classes: int, options: Options = NO_OPTIONS
) -> nn.Module:
    """Return a network that has taken one image, whose weights are of no use.

    Any error of the network, or InputError, says that it cannot take the image.
    """
    with explain_network_errors(arch, image_shape):
        make = import_architecture(arch)
    check_options(make, arch, options)
    try:
        with torch.device("meta"):
            network = make(image_shape, n_classes, **options)
        network.to_empty(device="cpu")
        check_logits(network, arch, image_shape, n_classes)
        return network
    except InputError:
        raise
    except (Exception, SystemExit):
        # Not every network can be built like that: it may have lazy layers, or compute with
        # numbers while it is built. Its own error, if it has one, comes up again.
        return make_network(arch, image_shape, n_classes, seed=0, options=options)


def explain_refusal(
    arch: str, image_shape: Shape, n_classes: int, options: Options = NO_OPTIONS
) -> str:
    """Return in one line why the architecture cannot take the images; "" if it can."""
    try:
        build_for_shapes(arch, image_shape, n_classes, options)
    except (Exception, SystemExit) as error:  # A user's network raises errors of any kind.
        if is_out_of_memory(error):
            raise
        return shorten_reason(str(error) or type(error).__name__)
    return ""


def explain_file_fault(arch: str, options: Options = NO_OPTIONS) -> str:
    """Return in one line why the architecture's file cannot be used for any image; "" if it can.

    What `make_network` raises may depend on the images, so it is not called.
    """
    try:
        make = import_architecture(arch)
        check_options(make, arch, options)
    except InputError as error:
        return shorten_reason(str(error))
    except (Exception, SystemExit) as error:  # A user's file raises errors of any kind.
        if is_out_of_memory(error):
            raise
        text = f"src/mri_stages/models/{arch}.py: {describe_error(error, arch)}"
        return shorten_reason(text)
    return ""


def shorten_reason(text: str) -> str:
    """Return a text of any length in one line of readable length."""
    line = make_printable(text)
    if len(line) > MAX_REASON_LETTERS:
        line = f"{line[:MAX_REASON_LETTERS]}..."
    return line


def find_smallest_side(
    arch: str, channels: int, n_classes: int, options: Options = NO_OPTIONS
) -> int | None:
    """Return a side in pixels that the architecture takes while it refuses one pixel less.

    The images are square. None if it takes none of TRIED_SIDES.
    """
    refused_side = 0
    for side in TRIED_SIDES:
        if not explain_refusal(arch, (channels, side, side), n_classes, options):
            return bisect_sides(arch, channels, n_classes, options, refused_side, side)
        refused_side = side
    return None


def bisect_sides(
    arch: str,
    channels: int,
    n_classes: int,
    options: Options,
    refused_side: int,
    accepted_side: int,
) -> int:
    """Return the accepted side that is one pixel above a refused one, between the two."""
    while accepted_side - refused_side > 1:
        side = (refused_side + accepted_side) // 2
        if explain_refusal(arch, (channels, side, side), n_classes, options):
            refused_side = side
        else:
            accepted_side = side
    return accepted_side


def find_refusals(
    models: Mapping[str, Model], image_shape: Shape, n_classes: int
) -> dict[str, Refusal]:
    """Return the models that cannot take images of the shape (C, H, W), each with the reason."""
    refusal_by_network: dict[str, Refusal | None] = {}
    refusals = {}
    for name, model in models.items():
        key = model.describe_network()
        if key not in refusal_by_network:
            refusal_by_network[key] = find_refusal(
                model.arch, image_shape, n_classes, model.options
            )
        refusal = refusal_by_network[key]
        if refusal is not None:
            refusals[name] = refusal
    return refusals


def find_unusable_models(models: Mapping[str, Model]) -> dict[str, Refusal]:
    """Return the models whose file cannot be used for any image, each with the reason."""
    refusals = {}
    for name, model in models.items():
        file_fault = explain_file_fault(model.arch, model.options)
        if file_fault:
            refusals[name] = Refusal(file_fault, None, RefusalKind.FILE)
    return refusals


def find_refusal(
    arch: str, image_shape: Shape, n_classes: int, options: Options = NO_OPTIONS
) -> Refusal | None:
    """Return why the architecture cannot take the images; None if it can."""
    file_fault = explain_file_fault(arch, options)
    if file_fault:
        return Refusal(file_fault, None, RefusalKind.FILE)
    reason = explain_refusal(arch, image_shape, n_classes, options)
    if not reason:
        return None

    channels, height, width = image_shape
    smallest_side = find_smallest_side(arch, channels, n_classes, options)
    if smallest_side is None or smallest_side <= min(height, width):
        return Refusal(reason, None)
    return Refusal(f"from {smallest_side} x {smallest_side} pixels", smallest_side)


def find_fitting_size(
    refusals: Mapping[str, Refusal],
    models: Mapping[str, Model],
    image_shape: Shape,
    n_classes: int,
) -> tuple[int, int] | None:
    """Return height and width, of about the same aspect ratio, that all models would take."""
    smallest_sides = [refusal.smallest_side or 0 for refusal in refusals.values()]
    channels, height, width = image_shape
    factor = max(smallest_sides) / min(height, width)
    if factor <= 1:
        return None

    size = (math.ceil(factor * height), math.ceil(factor * width))
    networks = {model.describe_network(): model for model in models.values()}
    for model in networks.values():
        if explain_refusal(model.arch, (channels, *size), n_classes, model.options):
            return None
    return size
