"""Random changes of training images: built in, or by the function `augment` of a user's file.

All random numbers are drawn on the CPU, so that they are the same for all devices.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

from mri_stages.config.schema import Augment, Model
from mri_stages.errors import InputError
from mri_stages.models import import_own_part

# Takes scaled images (n, C, H, W) and a generator on the CPU; returns images of the same shape.
AugmentImages = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def make_augmentation(model: Model) -> AugmentImages | None:
    """Return what changes the training images of a batch; None if nothing does.

    InputError if it is the own one of an architecture's file without a function `augment`.
    """
    match model.augment:
        case None:
            return None
        case Augment() as options:
            return lambda images, generator: augment_images(images, options, generator)
    own_augment: AugmentImages = import_own_part(model.arch, "augment", "images, generator")

    def augment_by_file(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        augmented = own_augment(images, generator)
        check_augmented(augmented, images, model.arch)
        return augmented

    return augment_by_file


def check_augmented(augmented: object, images: torch.Tensor, arch: str) -> None:
    """Raise InputError unless a user's `augment` returned such images as it was given."""
    description = describe_images(augmented)
    expected = describe_images(images)
    if description != expected:
        raise InputError(
            f"src/mri_stages/models/{arch}.py: augment returned {description}, expected "
            f"{expected}, as its images"
        )


def describe_images(images: object) -> str:
    """Return shape, dtype and device of images as text, or the name of another object's type."""
    if not isinstance(images, torch.Tensor):
        return type(images).__name__
    return f"{tuple(images.shape)} {images.dtype} on {images.device.type}"


def augment_images(
    images: torch.Tensor, options: Augment, generator: torch.Generator
) -> torch.Tensor:
    """Return images (n, C, H, W), each changed at random as the options say, in their order."""
    # A new option draws after the others: the numbers of a recipe without it stay as they are.
    images = shift_and_mirror(images, options, generator)
    if options.rotation > 0:
        images = rotate(images, options.rotation, generator)
    if options.brightness > 0:
        images = images + draw_uniform(images, options.brightness, generator)
    if options.contrast > 0:
        factors = 1 + draw_uniform(images, options.contrast, generator)
        means = images.mean((1, 2, 3), keepdim=True)
        images = means + factors * (images - means)
    return images


def draw_uniform(images: torch.Tensor, largest: float, generator: torch.Generator) -> torch.Tensor:
    """Return a number (n, 1, 1, 1) between -largest and largest for each image, on its device."""
    numbers = (2 * torch.rand(len(images), generator=generator) - 1) * largest
    return numbers.to(images)[:, None, None, None]


def shift_and_mirror(
    images: torch.Tensor, options: Augment, generator: torch.Generator
) -> torch.Tensor:
    """Return images (n, C, H, W), each shifted in both directions and perhaps mirrored at random.

    The pixels at the edge are repeated.
    """
    n, channels, height, width = images.shape
    device = images.device
    max_shift = options.shift

    # Draw the changes of each image.
    down, right = torch.randint(-max_shift, max_shift + 1, (2, n, 1), generator=generator)
    mirror_mask = torch.rand(n, 1, generator=generator) < 0.5
    if not options.flip:
        mirror_mask = torch.zeros_like(mirror_mask)

    # Name the pixel that each new pixel is taken from.
    source_rows = (torch.arange(height) - down).clamp(0, height - 1)  # (n, H)
    source_columns = (torch.arange(width) - right).clamp(0, width - 1)  # (n, W)
    source_columns = torch.where(mirror_mask, source_columns.flip(1), source_columns)

    image_indices = torch.arange(n, device=device)[:, None, None, None]
    channel_indices = torch.arange(channels, device=device)[:, None, None]
    source_rows = source_rows.to(device)[:, None, :, None]
    source_columns = source_columns.to(device)[:, None, None, :]
    return images[image_indices, channel_indices, source_rows, source_columns].contiguous()


def rotate(images: torch.Tensor, max_degrees: float, generator: torch.Generator) -> torch.Tensor:
    """Return images (n, C, H, W), each turned about its centre by a random angle.

    Pixels are interpolated linearly, and those at the edge are repeated.
    """
    height, width = images.shape[2:]
    angles = draw_uniform(images, max_degrees, generator).squeeze(1) * (math.pi / 180)
    sines = angles.sin()
    cosines = angles.cos()

    # The pixel that each new pixel is taken from: rows and columns (n, H, W) from the centre.
    rows = torch.arange(height).to(images)[:, None] - (height - 1) / 2
    columns = torch.arange(width).to(images) - (width - 1) / 2
    source_rows = cosines * rows + sines * columns
    source_columns = cosines * columns - sines * rows

    # PyTorch counts from -1 to 1, from edge to edge.
    grid = torch.stack([2 * source_columns / width, 2 * source_rows / height], dim=3)
    return nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
