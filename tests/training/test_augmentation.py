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
