import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mri_stages.baselines.brightness import GreyLevels, count_in_bins, predict_brightness
from mri_stages.baselines.units import Units

# 60 rows of 20 units; the pixels of unit 0 alone are darker and brighter than all others.
UNIT_OF_ROW = np.arange(60) % 20
LABELS = np.arange(20) % 3
FOLDS = np.arange(20) // 5
UNITS = Units(np.arange(20), UNIT_OF_ROW)


def draw_rows(dtype: str) -> np.ndarray:
    """Return rows (60, 30) whose grey levels depend on the class."""
    rng = np.random.default_rng(0)
    rows = rng.integers(40, 180, (60, 30)) + 15 * LABELS[UNIT_OF_ROW][:, None]
    rows[UNIT_OF_ROW == 0, :2] = [0, 255]
    return rows.astype(np.uint8) if dtype == "uint8" else (rows / 255).astype(np.float32)


@pytest.fixture(params=["uint8", "float32"])
def parts(request: pytest.FixtureRequest) -> list[np.ndarray]:
    rows = draw_rows(request.param)
    return [rows[:37], rows[37:]]


def list_pixels(parts: list[np.ndarray], unit: int) -> np.ndarray:
    """Return all pixels of a unit, from 0 to 1."""
    rows = np.concatenate(parts)[unit == UNIT_OF_ROW]
    pixels: np.ndarray = rows.astype(float).ravel() / (255 if rows.dtype == np.uint8 else 1)
    return pixels


def compute_by_numpy(parts: list[np.ndarray], low: float, high: float) -> np.ndarray:
    """Return the features (20, 10), those of each unit by a count of its own pixels."""
    features = []
    for unit in range(20):
        pixels = list_pixels(parts, unit)
        counts, _ = np.histogram(np.clip(pixels, low, high), bins=8, range=(low, high))
        features.append([pixels.mean(), pixels.std(), *(counts / len(pixels))])
    return np.array(features)


def test_features_are_those_of_all_pixels_of_a_unit(parts: list[np.ndarray]) -> None:
    features = GreyLevels(parts, UNITS).compute_features(0.1, 0.93)
    np.testing.assert_allclose(features, compute_by_numpy(parts, 0.1, 0.93), rtol=1e-6)


def test_pixels_outside_the_range_are_in_the_outer_bins() -> None:
    counts = count_in_bins([np.array([[-5, 0, 1, 2, 3, 9]], np.float32)], np.array([1.0, 2.0]))
    assert counts.tolist() == [[2, 1, 3]]


@pytest.mark.parametrize("fold", [0, 3])
def test_brightness_equals_a_regression_on_the_other_folds(
    parts: list[np.ndarray], fold: int
) -> None:
    train = np.flatnonzero(fold != FOLDS)
    pixels = np.concatenate([list_pixels(parts, int(unit)) for unit in train])
    features = compute_by_numpy(parts, pixels.min(), pixels.max())
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1, max_iter=5000, tol=1e-7))
    model.fit(features[train], LABELS[train])

    probabilities = predict_brightness(GreyLevels(parts, UNITS), LABELS, FOLDS, 3)
    expected = model.predict_proba(features[fold == FOLDS])
    np.testing.assert_allclose(probabilities[fold == FOLDS], expected, atol=1e-4)


def test_brightness_does_not_see_where_a_pixel_is(parts: list[np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    moved = [rng.permuted(part, axis=1) for part in parts]
    before = predict_brightness(GreyLevels(parts, UNITS), LABELS, FOLDS, 3)
    after = predict_brightness(GreyLevels(moved, UNITS), LABELS, FOLDS, 3)
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_brightness_gives_an_unknown_class_no_probability(parts: list[np.ndarray]) -> None:
    probabilities = predict_brightness(GreyLevels(parts, UNITS), LABELS, FOLDS, 4)
    assert probabilities[:, 3].max() == 0


def test_brightness_of_equal_images_knows_the_shares() -> None:
    levels = GreyLevels([np.full((60, 30), 9, np.uint8)], UNITS)
    probabilities = predict_brightness(levels, LABELS, np.arange(20) // 10, 3)
    np.testing.assert_allclose(probabilities[0], [0.3, 0.4, 0.3], atol=1e-4)  # of units 10 to 19


def test_brightness_predicts_the_only_class_that_it_can_learn(parts: list[np.ndarray]) -> None:
    labels = (np.arange(20) < 5).astype(np.int64)  # fold 0 alone is of class 1
    probabilities = predict_brightness(GreyLevels(parts, UNITS), labels, FOLDS, 2)
    assert probabilities[:5].tolist() == [[1, 0]] * 5
