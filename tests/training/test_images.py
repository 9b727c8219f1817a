"""Images that are scaled on reading have the bits of images that were scaled before."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from mri_stages.preprocessing.scaling import write_scaled
from mri_stages.storage.arrays import read_array, view_as_images
from mri_stages.storage.unscaled_images import UnscaledImages
from mri_stages.training.images import (
    ScaledOnRead,
    drop_equal_channels,
    have_equal_channels,
    iterate_batches,
    move_images,
    read_images,
    to_images,
)

CPU = torch.device("cpu")
SHAPE = (3, 2, 5)
RNG = np.random.default_rng(0)
INDICES = RNG.permutation(30)[:20]  # of rows of both parts
SOME = torch.tensor([19, 3, 3, 0])


class Pair(NamedTuple):
    scaled: torch.Tensor  # of a file
    on_read: ScaledOnRead


@pytest.fixture(params=[(np.uint8, 1), (np.uint8, 3), (np.float32, 1), (np.float32, 3)], ids=str)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """Return the same images, scaled before and scaled on reading; of equal channels or others."""
    dtype, n_stored_channels = request.param
    pixels = RNG.integers(0, 256, (30, n_stored_channels * 10)).astype(dtype)
    parts = [pixels[:17], pixels[17:]]
    path = tmp_path / "x.npy"
    scaler = write_scaled(parts, {path: INDICES})
    mean = scaler.mean_.astype(np.float32)
    unscaled = UnscaledImages(parts, INDICES.copy(), SHAPE, mean, scaler.scale_.astype(np.float32))
    on_read = to_images(unscaled)
    assert isinstance(on_read, ScaledOnRead)
    return Pair(torch.from_numpy(view_as_images(read_array(path), SHAPE)), on_read)


def test_read_images_have_the_bits_of_the_file(pair: Pair) -> None:
    images = read_images(pair.on_read, SOME, CPU)
    assert images.is_contiguous()
    assert images.equal(pair.scaled[SOME])


def test_read_images_leave_the_stored_rows_alone(pair: Pair) -> None:
    first = read_images(pair.on_read, SOME, CPU)
    assert read_images(pair.on_read, SOME, CPU).equal(first)


def test_iterate_batches_of_all_images(pair: Pair) -> None:
    batches = list(iterate_batches(pair.on_read, 7, CPU))
    assert [len(batch) for batch in batches] == [7, 7, 6]
    assert torch.cat(batches).equal(pair.scaled)


def test_iterate_batches_of_some_images(pair: Pair) -> None:
    for images in pair:
        assert torch.cat(list(iterate_batches(images, 3, CPU, SOME))).equal(pair.scaled[SOME])


def test_drop_equal_channels_keeps_different_ones(pair: Pair) -> None:
    n_channels = 1 if have_equal_channels(pair.scaled) else 3
    for candidate in pair:
        images = drop_equal_channels(candidate)
        assert images.shape == (20, n_channels, 2, 5)
        assert read_images(images, SOME, CPU).equal(pair.scaled[SOME, :n_channels])


def test_move_images_to_the_cpu_reads_no_row(pair: Pair) -> None:
    assert move_images(pair.on_read, CPU) is pair.on_read


def test_images_on_a_device_are_read_from_there(pair: Pair) -> None:
    on_device = ScaledOnRead(pair.on_read.unscaled, CPU)  # as a GPU holds them
    pair.on_read.unscaled.indices[:] = 0
    assert read_images(on_device, SOME, CPU).equal(pair.scaled[SOME])


def test_scale_all_has_the_bits_of_the_file(pair: Pair) -> None:
    scaled = pair.on_read.unscaled.scale_all()
    assert scaled.strides == pair.scaled.numpy().strides
    np.testing.assert_array_equal(scaled, pair.scaled)


def test_select_takes_a_mask_or_indices(pair: Pair) -> None:
    mask = np.arange(20) % 3 == 0
    for selection in (mask, np.flatnonzero(mask)):
        selected = pair.on_read.unscaled.select(selection).scale_all()
        np.testing.assert_array_equal(selected, pair.scaled[mask])
