"""The images of a training or a prediction: scaled already, or scaled when a batch is read.

Both give the same bits: the arithmetic of each value is that of preprocessing/scaling.py.
"""

from collections.abc import Iterator
from typing import Any

import torch
from numpy.typing import NDArray

from mri_stages.storage.arrays import MAX_GREY
from mri_stages.storage.unscaled_images import UnscaledImages


class ScaledOnRead:
    """Images (N, C, H, W) of which each batch is scaled on the device that it is read to."""

    dtype = torch.float32

    def __init__(self, unscaled: UnscaledImages, device: torch.device | None = None) -> None:
        """Leave the rows where they are, or copy all stored rows to a device."""
        self.unscaled = unscaled
        self.shape = torch.Size((len(unscaled), *unscaled.image_shape))
        self.device = torch.device("cpu") if device is None else device
        self.rows_on_device: torch.Tensor | None = None
        self.scalers: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}
        if device is not None:
            self.rows_on_device = self.read_stored(torch.arange(len(self))).to(device)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, indices: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Return scaled images (n, C, H, W) on `device`; equal channels have a stride of 0."""
        if self.rows_on_device is None:
            rows = self.read_stored(indices)
        else:
            rows = self.rows_on_device.index_select(0, indices.to(self.device))
        pixels = scale_stored_rows(rows.to(device), *self.get_scaler(device))
        _, channels, height, width = self.shape
        return pixels.view(len(pixels), -1, height, width).expand(-1, channels, -1, -1)

    def read_stored(self, indices: torch.Tensor) -> torch.Tensor:
        """Return a copy of stored rows (n, D), on the host."""
        return torch.from_numpy(self.unscaled.read_stored(indices.cpu().numpy()))

    def get_scaler(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and scale (D,) on the device."""
        if device not in self.scalers:
            mean = torch.from_numpy(self.unscaled.mean).to(device)
            scale = torch.from_numpy(self.unscaled.scale).to(device)
            self.scalers[device] = (mean, scale)
        return self.scalers[device]

    def select_first_channel(self) -> "ScaledOnRead":
        """Return the same images without the copies of their equal channels."""
        other = ScaledOnRead(self.unscaled)
        other.shape = torch.Size((self.shape[0], 1, *self.shape[2:]))
        other.device = self.device
        other.rows_on_device = self.rows_on_device
        return other


Images = torch.Tensor | ScaledOnRead  # (N, C, H, W); equal channels of a tensor have a stride of 0


def scale_stored_rows(rows: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return stored rows (n, D), a copy that may be overwritten, as scaled float32."""
    if rows.dtype == torch.uint8:
        # A GPU multiplies by 1/255 if the divisor is a plain number, which rounds otherwise.
        divisor = torch.full((), float(MAX_GREY), device=rows.device)
        rows = rows.float().div_(divisor)
    return rows.sub_(mean).div_(scale)


def to_images(images: NDArray[Any] | UnscaledImages) -> Images:
    """Return the images of rows for a training, on the host."""
    if isinstance(images, UnscaledImages):
        return ScaledOnRead(images)
    return torch.from_numpy(images)


def read_images(images: Images, indices: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a copy of images (n, C, H, W) on `device`; equal channels are repeated."""
    if isinstance(images, ScaledOnRead):
        return images.read(indices, device).contiguous()
    return images.index_select(0, indices.to(images.device)).to(device)


def read_first_images(images: Images, n_images: int, device: torch.device) -> torch.Tensor:
    """Return a copy of the first images on `device`: `n_images`, or all where they are fewer."""
    return read_images(images, torch.arange(min(n_images, len(images))), device)


def read_all_images(images: Images, device: torch.device) -> torch.Tensor:
    """Return all images on `device`; equal channels have a stride of 0 on the CPU."""
    if isinstance(images, ScaledOnRead):
        return images.read(torch.arange(len(images)), device)
    return images.to(device)


def iterate_batches(
    images: Images, batch_size: int, device: torch.device, indices: torch.Tensor | None = None
) -> Iterator[torch.Tensor]:
    """Yield batches (n, C, H, W) on `device`, of the images with these indices (n,), or of all."""
    if indices is None and isinstance(images, torch.Tensor):
        for batch in images.split(batch_size):
            yield batch.to(device)
        return
    if indices is None:
        indices = torch.arange(len(images))
    for batch_indices in indices.to(images.device).split(batch_size):
        yield read_images(images, batch_indices, device)


def have_equal_channels(images: Images) -> bool:
    """Return whether equal channels are stored once."""
    if isinstance(images, ScaledOnRead):
        return images.unscaled.has_equal_channels
    return images.stride(1) == 0


def drop_equal_channels(images: Images) -> Images:
    """Return the first channel (N, 1, H, W) of equal ones, else the images as they are."""
    if not have_equal_channels(images):
        return images
    if isinstance(images, ScaledOnRead):
        return images.select_first_channel()
    return images[:, :1]


def count_stored_bytes(images: Images) -> int:
    """Return the bytes that the images take, equal channels once."""
    if isinstance(images, ScaledOnRead):
        return images.unscaled.stored_bytes
    stored = images[:, :1] if have_equal_channels(images) else images
    return stored.nbytes


def move_images(images: Images, device: torch.device) -> Images:
    """Return the images on the device; equal channels are copied once and keep a stride of 0."""
    if isinstance(images, ScaledOnRead):
        # On the host, the rows stay in their files.
        return images if device.type == "cpu" else ScaledOnRead(images.unscaled, device)
    stored = images[:, :1] if have_equal_channels(images) else images
    return stored.to(device).expand(images.shape)
