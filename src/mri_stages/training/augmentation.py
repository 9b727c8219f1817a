"""Random shifts and mirror images of training images."""

import torch

from mri_stages.config.schema import Augment


def augment_images(
    images: torch.Tensor, options: Augment, generator: torch.Generator
) -> torch.Tensor:
    """Return images (n, C, H, W), each shifted in both directions and perhaps mirrored at random.

    The pixels at the edge are repeated. The random numbers are drawn on the CPU, so that they are
    the same for all devices.
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
