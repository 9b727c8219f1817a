import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from mri_stages.baselines.linear import (
    PENALTIES,
    best_penalty,
    components,
    linear_probabilities,
    mean_images,
    probabilities,
)


def shifted_classes(n: int, seed: int, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    images = rng.normal(size=(n, 20)) * np.linspace(1, 5, 20) + shift * np.eye(3, 20)[labels]
    return images.astype(np.float32), labels


@pytest.mark.parametrize("n", [60, 14])  # more units than pixels, and fewer
def test_linear_probabilities_equal_logistic_regression_on_all_pixels(n: int) -> None:
    images, labels = shifted_classes(n, seed=0)
    folds = np.arange(n) % 3
    found = linear_probabilities(images, labels, folds, n_classes=4)
    for fold in range(3):
        train, test = folds != fold, folds == fold
        x = StandardScaler().fit(images[train]).transform(images)
        length = np.sqrt((x[train] ** 2).sum(1).mean())
        penalty = best_penalty(images[train], labels[train], 4)
        model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=5000, tol=1e-8)
        model.fit(x[train] / length, labels[train])
        expected = model.predict_proba(x[test] / length)
        np.testing.assert_allclose(found[np.ix_(test, model.classes_)], expected, atol=0.01)
    assert found[:, 3].max() == 0
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    again = linear_probabilities(images, labels, folds, n_classes=4)
    np.testing.assert_array_equal(found, again)


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_best_penalty_has_the_highest_auc_of_inner_folds() -> None:
    images, labels = shifted_classes(50, seed=3)
    inner = StratifiedKFold(5, shuffle=True, random_state=0)
    aucs = []
    for penalty in PENALTIES:
        p = np.zeros((50, 3))
        for train, test in inner.split(images, labels):
            parts = components(images[train], images[test])
            p[test] = probabilities(parts[0], labels[train], parts[1], 3, penalty)
        aucs.append(np.mean([roc_auc_score(labels == k, p[:, k]) for k in range(3)]))
    assert max(aucs) > min(aucs)
    assert best_penalty(images, labels, 3) == PENALTIES[int(np.argmax(aucs))]
    assert best_penalty(np.eye(3, dtype=np.float32), np.arange(3), 3) == PENALTIES[0]


def test_mean_images_are_means_of_pixels_of_each_unit() -> None:
    parts = [np.array([[0, 51], [102, 0]], np.uint8), np.array([[255, 255], [0, 102]], np.uint8)]
    units = np.array([4, 9, 4, 7])
    expected = [[0.5, 0.6], [0.4, 0]]
    np.testing.assert_allclose(mean_images(parts, units, np.array([4, 9])), expected, rtol=1e-6)


def test_linear_probabilities_of_equal_images_are_those_of_no_knowledge() -> None:
    images, number = np.ones((12, 5), np.float32), np.arange(12)
    found = linear_probabilities(images, number % 2, number % 3, n_classes=2)
    np.testing.assert_allclose(found, 0.5, atol=1e-6)
