import pytest
import torch

from mri_stages.config.schema import Augment
from mri_stages.training.augmentation import augment_images

IMAGES = torch.arange(2 * 6 * 7.0).view(1, 2, 6, 7).repeat(200, 1, 1, 1)


def augment(shift: int, flip: bool, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return augment_images(IMAGES, Augment(shift=shift, flip=flip), generator)


def count_kinds(images: torch.Tensor) -> int:
    return len({tuple(image.flatten().tolist()) for image in images})


def test_augment_images_changes_every_image_on_its_own() -> None:
    n_shifts = 3 * 3
    assert count_kinds(augment(shift=1, flip=True)) == n_shifts * 2


def test_augment_images_without_flip_only_shifts() -> None:
    assert count_kinds(augment(shift=1, flip=False)) == 3 * 3


def test_augment_images_without_shift_only_mirrors() -> None:
    mirrored = IMAGES[0].flip(2)
    images = augment(shift=0, flip=True)
    is_mirrored = [torch.equal(image, mirrored) for image in images]
    assert 60 < sum(is_mirrored) < 140  # about half of 200
    for image, mirrored_here in zip(images, is_mirrored, strict=True):
        assert mirrored_here or torch.equal(image, IMAGES[0])


def test_augment_images_without_options_changes_nothing() -> None:
    assert augment(shift=0, flip=False).equal(IMAGES)


def test_augment_images_repeats_the_edge() -> None:
    column = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 3, 1).repeat(100, 1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    images = augment_images(column, Augment(shift=1, flip=False), generator)
    columns = {tuple(image.flatten().tolist()) for image in images}
    assert columns == {(1, 1, 2), (1, 2, 3), (2, 3, 3)}


def change_images(images: torch.Tensor, **options: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return augment_images(images, Augment(shift=0, flip=False, **options), generator)


def check_uniform(numbers: torch.Tensor, largest: float) -> None:
    """Check that numbers (200,) lie evenly between -largest and largest."""
    assert numbers.min().item() == pytest.approx(-largest, rel=0.05)
    assert numbers.max().item() == pytest.approx(largest, rel=0.05)
    assert numbers.abs().max() <= largest * 1.0001
    assert abs(numbers.mean().item()) < 0.2 * largest


@pytest.mark.parametrize("largest", [0.25, 0.9])
def test_augment_images_adds_a_brightness_to_each_image(largest: float) -> None:
    changes = change_images(IMAGES, brightness=largest) - IMAGES
    torch.testing.assert_close(
        changes, changes[:, :1, :1, :1].expand_as(changes), atol=1e-4, rtol=0
    )
    check_uniform(changes[:, 0, 0, 0], largest)


@pytest.mark.parametrize("largest", [0.25, 0.9])
def test_augment_images_stretches_each_image_around_its_mean(largest: float) -> None:
    images = change_images(IMAGES, contrast=largest)
    means = IMAGES.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(images.mean((1, 2, 3), keepdim=True), means)
    factors = (images - means)[:, 0, 0, 0] / (IMAGES - means)[:, 0, 0, 0]
    torch.testing.assert_close(images, means + factors[:, None, None, None] * (IMAGES - means))
    check_uniform(factors - 1, largest)


def test_augment_images_turns_each_image_around_its_middle() -> None:
    ramp = torch.linspace(-1, 1, 21)
    middle = torch.stack([ramp[:, None].expand(21, 21), ramp.expand(21, 21)])
    images = change_images(middle.repeat(200, 1, 1, 1), rotation=30)
    assert images[:, :, 10, 10].abs().max() < 1e-5
    # Beside the middle, the slopes of the two ramps are the sine and the cosine of the angle.
    sines = images[:, 0, 10, 12] - images[:, 0, 10, 8]
    cosines = images[:, 1, 10, 12] - images[:, 1, 10, 8]
    check_uniform(torch.rad2deg(torch.atan2(sines, cosines)), 30)
