"""Phantom slices are as black outside, as smooth and as overlapping as the real ones."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mri_stages.ingest.phantoms import (
    LARGEST_CLASS,
    draw_phantoms,
    draw_shares,
    draw_subject,
)


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
    """Return by class the number of dark pixels of each subject, which hold the fluid."""
    images, labels = draw_phantoms(200, 5, 64, 56, seed=0)
    counts = count_dark_pixels(images)
    return [counts[labels == label] for label in range(4)]


def count_dark_pixels(images: np.ndarray) -> np.ndarray:
    """Return the number of dark pixels of each subject (S,), from images (S, slices, H, W)."""
    counts: np.ndarray = ((images > 0) & (images < 50)).sum(axis=(1, 2, 3))
    return counts


def test_phantom_fluid_grows_with_the_disease(dark_pixels: list[np.ndarray]) -> None:
    mild, moderate, none, very_mild = (counts.mean() for counts in dark_pixels)
    assert none < very_mild < mild < moderate


def test_phantom_fluid_overlaps_between_classes(dark_pixels: list[np.ndarray]) -> None:
    mild, _, none, very_mild = dark_pixels
    assert none.max() > very_mild.min()
    assert very_mild.max() > mild.min()


@pytest.fixture(scope="module")
def moved_fluid() -> np.ndarray:
    """Return one head twice (2, slices, H, W), with little and with much in its ventricles."""
    heads = [draw_subject(np.random.default_rng(0), 0.17, share, 5, 64, 56) for share in (0.3, 0.7)]
    return np.stack(heads)


def test_phantom_fluid_moves_into_the_middle(moved_fluid: np.ndarray) -> None:
    little, much = count_dark_pixels(moved_fluid[:, :, 16:48, 14:42])
    assert much > 1.5 * little


def test_phantom_fluid_moves_without_a_change_of_grey_levels(moved_fluid: np.ndarray) -> None:
    little, much = count_dark_pixels(moved_fluid)
    assert abs(much - little) < 0.01 * little


def test_phantom_classes_overlap_alike_with_every_seed() -> None:
    labels = np.repeat([0, 1], 6)
    shares = [
        draw_shares(np.random.default_rng(seed), labels, (0.2, 0.5), 0.1)[labels == 1]
        for seed in (0, 1)
    ]
    assert shares[0].tolist() != shares[1].tolist()
    np.testing.assert_allclose(np.sort(shares[0]), np.sort(shares[1]))
    assert abs(shares[0] - 0.5).max() < 0.1


@pytest.fixture(scope="module", params=range(3))
def scored_phantoms(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Return images (S, slices, H, W), and whether a subject has any dementia (S,)."""
    images, labels = draw_phantoms(80, 5, 32, 28, seed=request.param)
    return images, labels != LARGEST_CLASS


def compute_auc(features: np.ndarray, is_demented: np.ndarray, penalty: float) -> float:
    """Return the AUC of logistic regression in five folds of subjects."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=1000))
    scores = cross_val_predict(model, features, is_demented, cv=5, method="decision_function")
    return float(roc_auc_score(is_demented, scores))


def measure_brightness(images: np.ndarray) -> np.ndarray:
    """Return mean, deviation and the shares of eight grey levels of each subject (S, 10)."""
    pixels = images.reshape(len(images), -1)
    columns = [pixels.mean(1), pixels.std(1)]
    columns += [(pixels // 32 == level).mean(1) for level in range(8)]
    return np.stack(columns, axis=1)


def test_phantoms_show_little_to_brightness(
    scored_phantoms: tuple[np.ndarray, np.ndarray],
) -> None:
    images, is_demented = scored_phantoms
    assert 0.6 < compute_auc(measure_brightness(images), is_demented, penalty=1) < 0.85


def test_phantoms_show_more_to_who_sees_places(
    scored_phantoms: tuple[np.ndarray, np.ndarray],
) -> None:
    images, is_demented = scored_phantoms
    mean_images = images.mean(axis=1).reshape(len(images), -1)
    brightness_auc = compute_auc(measure_brightness(images), is_demented, penalty=1)
    assert compute_auc(mean_images, is_demented, penalty=0.001) > brightness_auc + 0.03
