import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from mri_stages.baselines.linear import (
    PENALTIES,
    choose_penalty,
    compute_components,
    compute_mean_images,
    fit_and_predict_linear,
    predict_linear,
)


def draw_shifted_classes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 20) and labels of three classes, each with a mean of its own."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    images = rng.normal(size=(n, 20)) * np.linspace(1, 5, 20) + np.eye(3, 20)[labels]
    return images.astype(np.float32), labels


@pytest.mark.parametrize("n", [60, 14])  # more units than pixels, and fewer
def test_linear_equals_a_regression_on_all_pixels(n: int) -> None:
    images, labels = draw_shifted_classes(n, seed=0)
    folds = np.arange(n) % 3
    probabilities = predict_linear(images, labels, folds, n_classes=4)
    for fold in range(3):
        train = folds != fold
        test = folds == fold
        x = StandardScaler().fit(images[train]).transform(images)
        length = np.sqrt((x[train] ** 2).sum(1).mean())
        penalty = choose_penalty(images[train], labels[train], 4)
        model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=5000, tol=1e-8)
        model.fit(x[train] / length, labels[train])
        expected = model.predict_proba(x[test] / length)
        np.testing.assert_allclose(probabilities[np.ix_(test, model.classes_)], expected, atol=0.01)


def test_linear_gives_an_unknown_class_no_probability() -> None:
    images, labels = draw_shifted_classes(14, seed=0)
    probabilities = predict_linear(images, labels, np.arange(14) % 3, n_classes=4)
    assert probabilities[:, 3].max() == 0
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_linear_predicts_the_only_class_that_it_can_learn() -> None:
    images, _ = draw_shifted_classes(6, seed=0)
    labels = np.array([1, 0, 0, 0, 0, 0])
    probabilities = predict_linear(images, labels, np.array([0, 0, 1, 1, 1, 1]), n_classes=2)
    np.testing.assert_array_equal(probabilities[:2], [[1, 0], [1, 0]])


def test_linear_repeats_its_bytes() -> None:
    images, labels = draw_shifted_classes(14, seed=0)
    first, second = (predict_linear(images, labels, np.arange(14) % 3, 3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_penalty_has_the_highest_auc_of_inner_folds() -> None:
    images, labels = draw_shifted_classes(50, seed=3)
    inner = StratifiedKFold(5, shuffle=True, random_state=0)
    aucs = []
    for penalty in PENALTIES:
        p = np.zeros((50, 3))
        for train, test in inner.split(images, labels):
            x_train, x_test = compute_components(images[train], images[test])
            p[test] = fit_and_predict_linear(x_train, labels[train], x_test, 3, penalty)
        aucs.append(np.mean([roc_auc_score(labels == k, p[:, k]) for k in range(3)]))
    assert max(aucs) > min(aucs)
    assert choose_penalty(images, labels, 3) == PENALTIES[int(np.argmax(aucs))]


def test_penalty_without_inner_folds_is_the_strongest() -> None:
    assert choose_penalty(np.eye(3, dtype=np.float32), np.arange(3), 3) == min(PENALTIES)


def test_penalty_with_two_rows_of_a_class_uses_inner_folds() -> None:
    # Each inner fold leaves one row of either class, so the AUC is that of the images.
    images = np.array([[0, 0], [0, 1], [9, 0], [9, 1]], np.float32)
    assert choose_penalty(images, np.array([0, 0, 1, 1]), 2) == PENALTIES[0]


def test_components_have_length_one_on_average() -> None:
    images, _ = draw_shifted_classes(40, seed=1)
    train, test = compute_components(images[:30], images[30:])
    assert (train**2).sum(1).mean() == pytest.approx(1)
    assert test.shape == (10, train.shape[1])


def test_components_keep_the_distances_of_standardised_images() -> None:
    images, _ = draw_shifted_classes(40, seed=1)
    train, test = compute_components(images[:30], images[30:])
    scaled = StandardScaler().fit(images[:30]).transform(images)
    expected = np.linalg.norm(scaled[30] - scaled[:30], axis=1)
    actual = np.linalg.norm(test[0] - train, axis=1)
    np.testing.assert_allclose(actual / actual[0], expected / expected[0], rtol=1e-4)


def test_mean_images_are_means_of_pixels_of_each_unit() -> None:
    parts = [np.array([[0, 51], [102, 0]], np.uint8), np.array([[255, 255], [0, 102]], np.uint8)]
    units = np.array([4, 9, 4, 7])
    means = compute_mean_images(parts, units, np.array([4, 9]))
    np.testing.assert_allclose(means, [[0.5, 0.6], [0.4, 0]], rtol=1e-6)


def test_linear_on_equal_images_knows_nothing() -> None:
    images = np.ones((12, 5), np.float32)
    rows = np.arange(12)
    probabilities = predict_linear(images, rows % 2, rows % 3, n_classes=2)
    np.testing.assert_allclose(probabilities, 0.5, atol=1e-6)
