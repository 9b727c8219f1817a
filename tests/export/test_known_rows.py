"""Nearly equal rows: what counts as one, and what does not."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from mri_stages.export.external_set import ExternalSet
from mri_stages.export.known_rows import (
    MAX_SIDE,
    KnownRows,
    find_known_rows,
    mark_constant_rows,
    mark_nearly_equal_rows,
    reduce_images,
)
from mri_stages.export.row_set import HASH_TYPE, describe_rows, hash_image
from mri_stages.export.training_rows import NO_IMAGES, TrainingRows


def make_images(n_rows: int, seed: int, side: int = 70) -> np.ndarray:
    """Return grey images (n_rows, 1, side, side) of smooth random blobs, from 0 to 1."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (n_rows, 7, 7)).astype(np.uint8)
    images = [
        np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
        for image in small
    ]
    return np.stack(images)[:, None].astype(np.float32) / 255


def save_as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray((image[0] * 255).round().astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32)[None] / 255


def test_rows_saved_as_jpeg_are_nearly_equal() -> None:
    training = make_images(20, seed=0)
    copies = np.stack([save_as_jpeg(image, 50) for image in training[5:9]])
    rows = np.concatenate([make_images(3, seed=1), copies])
    mask = mark_nearly_equal_rows([rows[:2], rows[2:]], [training[:11], training[11:]])
    assert mask.tolist() == [False] * 3 + [True] * 4


def test_different_digits_are_not_nearly_equal() -> None:
    images = load_digits().images[:1200, None].astype(np.float32) / 16
    assert not mark_nearly_equal_rows([images[:600]], [images[600:]]).any()


def test_darker_rows_are_not_nearly_equal() -> None:
    training = make_images(20, seed=0)
    darker = np.float32(0.8) * training
    assert not mark_nearly_equal_rows([darker], [training]).any()


def test_rows_are_not_nearly_equal_to_a_single_training_row() -> None:
    training = make_images(1, seed=0)
    rows = np.concatenate([training, make_images(1, seed=1)])
    assert not mark_nearly_equal_rows([rows], [training]).any()


@pytest.mark.parametrize(("height", "width"), [(5, 3), (MAX_SIDE, 33), (70, 176)])
def test_reduced_images_keep_their_mean(height: int, width: int) -> None:
    images = np.random.default_rng(0).random((2, 3, height, width)).astype(np.float32)
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), images.shape)
    reduced = reduce_images(np.concatenate([images, columns]))
    assert reduced.shape == (4, 3 * min(height, MAX_SIDE) * min(width, MAX_SIDE))
    np.testing.assert_allclose(reduced[:2].mean(axis=1), images.mean(axis=(1, 2, 3)), rtol=0.05)
    if width <= MAX_SIDE and height <= MAX_SIDE:
        np.testing.assert_array_equal(reduced[:2], images.reshape(2, -1))


def test_constant_rows_have_one_value_in_each_channel() -> None:
    images = np.zeros((3, 2, 4, 5), np.float32)
    images[1, 1] = 0.5
    images[2, 1, 3, 4] = 0.5
    assert mark_constant_rows([images[:1], images[1:]]).tolist() == [True, True, False]


def describe_training(images: np.ndarray) -> TrainingRows:
    """Return what a workspace knows of these training rows (N, 1, H, W)."""
    row_set = describe_rows([images], np.zeros(len(images), np.int64), None, ["a"])
    return TrainingRows(row_set.figures, None, row_set.hashes, images)


def make_set(images: np.ndarray) -> ExternalSet:
    """Return a set of rows (N, 1, H, W): one of train, the others of test."""
    return ExternalSet(
        folder=Path("raw"),
        images={"train": torch.from_numpy(images[:1]), "test": torch.from_numpy(images[1:])},
        indices={"train": np.arange(1), "test": np.arange(len(images) - 1)},
        labels=np.zeros(len(images), np.int64),
        subjects=None,
        files={},
        notes=[],
    )


def find_rows(images: np.ndarray, training: TrainingRows) -> KnownRows:
    hashes = np.array([hash_image(image) for image in images], HASH_TYPE)
    return find_known_rows(make_set(images), hashes, training)


def test_known_rows_are_equal_or_nearly_equal_and_not_constant() -> None:
    training = make_images(30, seed=0)
    training[29] = 0
    new = make_images(2, seed=1)
    nearly_equal = save_as_jpeg(training[6], 50)
    rows = np.stack([new[0], training[5], nearly_equal, training[29], new[1]])
    known_rows = find_rows(rows, describe_training(training))
    assert known_rows.equal_mask.tolist() == [False, True, False, False, False]
    assert known_rows.nearly_equal_mask.tolist() == [False, False, True, False, False]


def test_known_rows_of_an_export_are_the_equal_ones() -> None:
    training = make_images(3, seed=0)
    rows = np.stack([training[2], save_as_jpeg(training[0], 50)])
    known_rows = find_rows(rows, describe_training(training)._replace(images=NO_IMAGES))
    assert known_rows.equal_mask.tolist() == [True, False]
    assert not known_rows.nearly_equal_mask.any()
