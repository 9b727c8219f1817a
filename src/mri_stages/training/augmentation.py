"""Random shifts and mirror images of training images."""

import torch

from mri_stages.config.schema import Augment


def augmented(images: torch.Tensor, augment: Augment, generator: torch.Generator) -> torch.Tensor:
    """Return images (n, C, H, W), each shifted in both directions and perhaps mirrored at random.

    The pixels at the edge are repeated. The numbers are drawn on the CPU, the same for all devices.
    """
    n, channels, height, width = images.shape
    device, shift = images.device, augment.shift
    down, right = torch.randint(-shift, shift + 1, (2, n, 1), generator=generator)
    mirrored = (torch.rand(n, 1, generator=generator) < 0.5) & augment.flip
    rows = (torch.arange(height) - down).clamp(0, height - 1)
    columns = (torch.arange(width) - right).clamp(0, width - 1)
    columns = torch.where(mirrored, columns.flip(1), columns)
    return images[
        torch.arange(n, device=device)[:, None, None, None],
        torch.arange(channels, device=device)[:, None, None],
        rows.to(device)[:, None, :, None],
        columns.to(device)[:, None, None, :],
    ].contiguous()
