"""Phantom slices are as black outside, as smooth and as overlapping as the real ones."""

import numpy as np
import pytest

from mri_stages.ingest.phantoms import draw_phantoms


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return draw_phantoms(12, 6, 40, 36, seed=1)[0]


def test_phantoms_are_slices_of_8_bits(images: np.ndarray) -> None:
    assert images.shape == (12, 6, 40, 36)
    assert images.dtype == np.uint8


def test_phantoms_have_a_label_for_each_subject() -> None:
    assert draw_phantoms(12, 6, 8, 8, seed=1)[1].shape == (12,)


def test_phantoms_have_a_black_background(images: np.ndarray) -> None:
    corners = images[..., [0, 0, -1, -1], [0, -1, 0, -1]]
    assert not corners.any()


def test_phantoms_have_no_black_inside_the_head(images: np.ndarray) -> None:
    middle = images[:, :, 10:30, 10:26]
    assert middle.min() >= 1


def test_phantoms_have_a_bright_skull(images: np.ndarray) -> None:
    middle_rows = images[:, :, 20, :]
    assert (middle_rows.max(axis=-1) > 180).all()


def test_phantoms_of_one_seed_are_equal(images: np.ndarray) -> None:
    np.testing.assert_array_equal(draw_phantoms(12, 6, 40, 36, seed=1)[0], images)


def test_phantoms_of_another_seed_differ(images: np.ndarray) -> None:
    assert (draw_phantoms(12, 6, 40, 36, seed=2)[0] != images).any()


@pytest.fixture(scope="module")
def distances() -> np.ndarray:
    """Return the squared distances (200, 200) of 20 slices of each of 10 subjects."""
    rows = draw_phantoms(10, 20, 40, 36, seed=0)[0].reshape(200, -1).astype(float)
    squared: np.ndarray = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    return squared


SUBJECT, SLICE = np.divmod(np.arange(200), 20)


def test_phantoms_change_smoothly_from_slice_to_slice(distances: np.ndarray) -> None:
    same_subject_mask = SUBJECT[:, None] == SUBJECT
    steps = abs(SLICE[:, None] - SLICE)
    means = [distances[same_subject_mask & (steps == step)].mean() for step in (1, 3, 6, 12)]
    assert means == sorted(means)


def test_phantoms_are_nearest_to_their_own_subject(distances: np.ndarray) -> None:
    to_others = distances + np.diag(np.full(200, np.inf))
    assert (SUBJECT[to_others.argmin(1)] == SUBJECT).mean() > 0.95


@pytest.mark.parametrize(
    ("n_subjects", "counts"),
    [(200, [28, 2, 100, 70]), (8, [1, 1, 4, 2])],  # the first as in the public set
)
def test_phantoms_have_every_class(n_subjects: int, counts: list[int]) -> None:
    labels = draw_phantoms(n_subjects, 2, 8, 8, seed=0)[1]
    assert np.bincount(labels).tolist() == counts


@pytest.fixture(scope="module")
def dark_pixels() -> list[np.ndarray]:
    """Return by class the number of dark pixels of each subject, which the ventricles are."""
    images, labels = draw_phantoms(200, 5, 64, 56, seed=0)
    counts = ((images > 0) & (images < 60)).sum(axis=(1, 2, 3))
    return [counts[labels == label] for label in range(4)]


def test_phantom_ventricles_grow_with_the_disease(dark_pixels: list[np.ndarray]) -> None:
    mild, moderate, none, very_mild = (counts.mean() for counts in dark_pixels)
    assert none < very_mild < mild < moderate


def test_phantom_ventricles_overlap_between_classes(dark_pixels: list[np.ndarray]) -> None:
    mild, _, none, very_mild = dark_pixels
    assert none.max() > very_mild.min()
    assert very_mild.max() > mild.min()
