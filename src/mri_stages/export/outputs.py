"""What an exported or trained network gives for images, batch by batch.

`predict`, `external` and the check of the ONNX file compute their outputs here, and nowhere else.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.storage.arrays import to_pixels

# Images at a time, as `evaluate` takes them: another number could change a last digit.
BATCH_SIZE = 16


class Outputs(NamedTuple):
    """What a network with its scaler gives for n images."""

    probabilities: NDArray[np.float32]  # (n, K), in label order
    mean: NDArray[np.float32]  # (n,), of the pixels after scaling
    deviation: NDArray[np.float32]  # (n,)


# From pixels (n, C, H, W) float32, n at most BATCH_SIZE.
ComputeBatch = Callable[[NDArray[np.float32]], Outputs]


def compute_outputs(compute_batch: ComputeBatch, images: Iterable[NDArray[np.float32]]) -> Outputs:
    """Return the outputs for one or more images (C, H, W), of which one batch is in memory."""
    parts = [compute_batch(np.stack(batch)) for batch in split_into_batches(images)]
    return Outputs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def split_into_batches(
    images: Iterable[NDArray[np.float32]],
) -> Iterator[list[NDArray[np.float32]]]:
    """Yield BATCH_SIZE images at a time."""
    iterator = iter(images)
    batch = list(islice(iterator, BATCH_SIZE))
    while batch:
        yield batch
        batch = list(islice(iterator, BATCH_SIZE))


def iterate_pixels(images: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """Yield stored images (N, C, H, W) one by one as pixels (C, H, W)."""
    for image in images:
        yield to_pixels(image)
