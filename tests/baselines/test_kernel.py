from itertools import product

import numpy as np
import pytest
from scipy.linalg import cholesky
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import euclidean_distances, roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import StratifiedKFold

from mri_stages.baselines import kernel
from mri_stages.baselines.inner_folds import InnerSplit
from mri_stages.baselines.kernel import (
    SETTINGS,
    STRONGEST_SETTING,
    Setting,
    choose_setting,
    compute_kernel_components,
    compute_squared_distances,
    find_scale,
    fit_and_predict,
    predict_kernel,
)

SPLIT = InnerSplit(np.arange(30), np.arange(30, 40))
SETTING = Setting(1.0, 10.0)


def draw_images(n_units: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (U, 5) and labels (U,): a class is a ring around those before it."""
    rng = np.random.default_rng(0)
    labels = np.arange(n_units) % n_classes
    images = rng.normal(size=(n_units, 5))
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    return images * (1 + labels + rng.normal(0, 0.5, n_units))[:, None], labels


def compute_kernel(images: np.ndarray, width: float) -> np.ndarray:
    """Return the kernel (40, 30) of all units and the training units of SPLIT."""
    train = images[:30]
    squares = ((train[:, None] - train) ** 2).sum(2)
    median = np.median(squares[np.triu_indices(30, 1)])
    values: np.ndarray = rbf_kernel(images, train, gamma=width / median)
    return values


@pytest.mark.parametrize("block", [2, 4096])
def test_squared_distances_are_those_of_scikit_learn(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "PIXEL_BLOCK", block)
    images = 1000 + draw_images(40, 2)[0]
    expected = euclidean_distances(images - 1000, squared=True)
    np.testing.assert_allclose(compute_squared_distances(images), expected, atol=1e-9)


@pytest.mark.parametrize("width", [0.3, 3.0])
def test_components_have_the_kernel_as_dot_products(width: float) -> None:
    images, _ = draw_images(40, 2)
    distances = compute_squared_distances(images)
    x_train, x_test = compute_kernel_components(distances, SPLIT, width)
    expected = compute_kernel(images, width)
    np.testing.assert_allclose(x_train @ x_train.T, expected[:30], atol=1e-9)
    np.testing.assert_allclose(x_test @ x_train.T, expected[30:], atol=1e-6)


def test_kernel_regression_equals_a_direct_solution() -> None:
    """The direct one minimises over the weights of the training units and an intercept."""
    images, labels = draw_images(40, 2)
    values = compute_kernel(images, SETTING.width)
    signs = 2 * labels[:30] - 1

    def compute_cost(solution: np.ndarray) -> tuple[float, np.ndarray]:
        weights, intercept = solution[:-1], solution[-1]
        margins = signs * (values[:30] @ weights + intercept)
        slopes = -signs * expit(-margins)
        penalty = weights @ values[:30] @ weights / 2
        cost = SETTING.penalty * np.logaddexp(0, -margins).sum() + penalty
        gradient = values[:30] @ (SETTING.penalty * slopes + weights)
        return cost, np.append(gradient, SETTING.penalty * slopes.sum())

    options = {"maxiter": 5000, "gtol": 1e-9, "ftol": 1e-15}
    result = minimize(compute_cost, np.zeros(31), jac=True, method="L-BFGS-B", options=options)
    expected = expit(values[30:] @ result.x[:-1] + result.x[-1])

    distances = compute_squared_distances(images)
    probabilities = fit_and_predict(distances, labels, SPLIT, 2, SETTING)
    np.testing.assert_allclose(probabilities[:, 1], expected, atol=1e-3)


def test_kernel_regression_of_three_classes_equals_that_on_a_cholesky_factor() -> None:
    images, labels = draw_images(40, 3)
    values = compute_kernel(images, SETTING.width)
    factor = cholesky(values[:30], lower=True)
    model = LogisticRegression(C=SETTING.penalty, max_iter=5000, tol=1e-8)
    model.fit(factor, labels[:30])
    expected = model.predict_proba(np.linalg.solve(factor, values[30:].T).T)

    distances = compute_squared_distances(images)
    probabilities = fit_and_predict(distances, labels, SPLIT, 3, SETTING)
    np.testing.assert_allclose(probabilities, expected, atol=1e-3)


@pytest.mark.parametrize("negative_label", [None, 2])
def test_setting_has_the_highest_auc_of_inner_folds(negative_label: int | None) -> None:
    images, labels = draw_images(40, 3)
    distances = compute_squared_distances(images)
    aucs = []
    for setting in SETTINGS:
        p = np.zeros((40, 3))
        for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(images, labels):
            p[test] = fit_and_predict(distances, labels, InnerSplit(train, test), 3, setting)
        if negative_label is None:
            aucs.append(np.mean([roc_auc_score(labels == k, p[:, k]) for k in range(3)]))
        else:
            aucs.append(roc_auc_score(labels != negative_label, -p[:, negative_label]))
    best = SETTINGS[int(np.argmax(aucs))]
    assert max(aucs) > min(aucs)
    assert choose_setting(distances, labels, 3, negative_label) == best


def test_settings_are_those_of_the_documentation() -> None:
    expected = [Setting(w, c) for w, c in product((0.3, 1, 3), (0.1, 1, 10))]
    assert expected == SETTINGS
    assert expected[0] == STRONGEST_SETTING


def test_setting_without_inner_folds_is_the_strongest() -> None:
    distances = compute_squared_distances(np.eye(3))
    assert choose_setting(distances, np.arange(3), 3, None) == STRONGEST_SETTING


def test_kernel_knows_a_ring_that_a_line_cannot_part() -> None:
    images, labels = draw_images(80, 2)
    distances = compute_squared_distances(images)
    probabilities = predict_kernel(distances, labels, np.arange(80) // 2 % 4, 2, None)
    assert roc_auc_score(labels, probabilities[:, 1]) > 0.75


def test_kernel_uses_no_unit_of_the_fold() -> None:
    images, labels = draw_images(40, 2)
    folds = np.arange(40) // 20
    changed_images = images.copy()
    changed_images[21:] *= 3
    changed_labels = labels.copy()
    changed_labels[20:] = 1 - labels[20:]
    before = predict_kernel(compute_squared_distances(images), labels, folds, 2, None)
    distances = compute_squared_distances(changed_images)
    after = predict_kernel(distances, changed_labels, folds, 2, None)
    np.testing.assert_allclose(after[20], before[20], atol=1e-6)  # its image is unchanged


def test_kernel_on_equal_images_knows_nothing() -> None:
    distances = np.zeros((12, 12))
    probabilities = predict_kernel(distances, np.arange(12) % 2, np.arange(12) // 4, 2, None)
    np.testing.assert_allclose(probabilities, 0.5, atol=1e-3)


def test_kernel_repeats_its_bytes() -> None:
    images, labels = draw_images(40, 2)
    distances = compute_squared_distances(images)
    first, second = [predict_kernel(distances, labels, np.arange(40) // 20, 2, None) for _ in "12"]
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("points", "scale"), [([0, 1, 3], 4), ([0, 0, 0, 0, 3], 3.6), ([2, 2], 1), ([2], 1)]
)
def test_scale_is_the_median_between_two_units(points: list[float], scale: float) -> None:
    distances = np.subtract.outer(points, points) ** 2.0
    assert find_scale(distances) == pytest.approx(scale)
