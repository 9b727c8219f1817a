"""The metrics of a model or baseline, as metrics/NAME.json holds them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, recall_score, roc_curve

from mri_stages.errors import InputError
from mri_stages.evaluation.confidence import Floats, accuracy_interval, bootstrap
from mri_stages.storage.predictions import Predictions, average_by_subject
from mri_stages.storage.records import (
    Metrics,
    RocPoint,
)

Curve = tuple[int, NDArray[np.bool_], NDArray[np.float32]]  # see `one_against_rest`
MOST_ROC_POINTS = 200  # of all curves of a model


def compute_metrics(
    found: Predictions, classes: Sequence[str], negative: int | None, loss: float = math.nan
) -> Metrics:
    """Return the metrics, each row counted once; negative: see `one_against_rest`."""
    labels, predicted, scored = found.labels, found.predicted, list_scored_classes(found)
    low, high = accuracy_interval(found.correct, found.subjects)
    over = {"labels": scored, "average": "macro", "zero_division": 0.0}
    return Metrics(
        accuracy=float(found.correct.mean()),
        ci_low=low,
        ci_high=high,
        balanced_accuracy=float(recall_score(labels, predicted, **over)),
        macro_f1=float(f1_score(labels, predicted, **over)),
        auc=compute_auc(found, negative),
        loss=loss if math.isfinite(loss) else None,
        unscored_classes=", ".join(n for i, n in enumerate(classes) if i not in scored) or None,
    )


def compute_new_subject_metrics(
    folds: Predictions, classes: Sequence[str], negative: int | None, *, is_model: bool = False
) -> Metrics:
    """Return the metrics of cross-validation, each row of `by_subject` counted once."""
    found = average_by_subject(folds)
    of_label = found.probabilities[np.arange(len(found.labels)), found.labels]
    with np.errstate(divide="ignore"):  # a baseline may be certain, and wrong
        loss = float(-np.log(of_label.astype(np.float64)).mean())
    metrics = compute_metrics(found, classes, negative, loss)
    update: dict[str, Any] = {"by": "row" if found.subjects is None else "subject"}
    if is_model:
        update["diverged"] = bool(np.isnan(found.probabilities).any())
    if metrics.auc is not None:
        curves = build_roc_curves(found, negative)
        update["auc_low"], update["auc_high"] = bootstrap(
            lambda w: [compute_weighted_auc(*c[1:], w) for c in curves],
            len(found.labels),
            found.subjects,
        )
    return metrics.model_copy(update=update)


def find_negative_label(negative_class: str | None, classes: Sequence[str]) -> int | None:
    """Return the label of evaluation.negative_class; InputError if no class has that name."""
    if negative_class is None or negative_class in classes:
        return None if negative_class is None else classes.index(negative_class)
    found = f"evaluation.negative_class is {negative_class!r}"
    raise InputError(f"params.yaml: {found}, expected null or one of {', '.join(classes)}")


def list_scored_classes(found: Predictions) -> list[int]:
    """Return the labels that have rows and that a model could learn.

    On folds, a class with all its rows in one fold has none to learn from when it is predicted.
    """
    labels, folds = found.labels, found.folds
    known: list[int] = np.unique(labels).tolist()
    return [k for k in known if folds is None or len(np.unique(folds[labels == k])) > 1]


def build_roc_curves(found: Predictions, negative: int | None) -> list[Curve]:
    """Return, per ROC curve: a class, the rows (N,) that are positive, and their scores (N,).

    With a label `negative`, the one curve of any other class against it. Else one curve of each
    scored class against the rest.
    """
    p, y = found.probabilities, found.labels
    curves = [(k, y == k, p[:, k]) for k in list_scored_classes(found)]
    if negative is not None:
        curves = [(negative, y != negative, -p[:, negative])]
    return [curve for curve in curves if 0 < curve[1].sum() < len(y)]


def compute_auc(found: Predictions, negative: int | None) -> float | None:
    """Return the mean area of `one_against_rest`; None without a curve, or where a p is NaN."""
    curves = build_roc_curves(found, negative)
    if not curves or np.isnan(found.probabilities).any():
        return None
    once = np.ones((1, len(found.labels)))
    return float(np.mean([compute_weighted_auc(*curve[1:], once)[0] for curve in curves]))


def compute_weighted_auc(positive: NDArray[Any], scores: NDArray[Any], weights: Floats) -> Floats:
    """Return the area under the ROC curve for each of n weightings (n, N) of the rows (N,).

    It is 0 / 0 without a positive or a negative row. scikit-learn would sort the rows n times.
    """
    order = np.argsort(scores, kind="stable")
    _, starts = np.unique(scores[order], return_index=True)  # of the rows with equal scores
    of_positive = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)
    of_negative = np.add.reduceat(weights[:, order] * ~positive[order], starts, axis=1)
    below = of_negative.cumsum(1) - of_negative / 2  # equal scores count half
    areas: Floats = (of_positive * below).sum(1) / (of_positive.sum(1) * of_negative.sum(1))
    return areas


def sample_roc_points(
    found: Predictions, classes: Sequence[str], negative: int | None
) -> list[RocPoint]:
    """Return points of the ROC curves, 200 at most: above 100 classes, of the first 100."""
    if np.isnan(found.probabilities).any():
        return []
    curves, points = build_roc_curves(found, negative)[: MOST_ROC_POINTS // 2], []
    for label, positive, scores in curves:
        name = classes[label] if negative is None else f"not {classes[label]}"
        false, true, _ = roc_curve(positive, scores)
        n_points = min(len(false), max(2, MOST_ROC_POINTS // len(curves)))
        kept = np.linspace(0, len(false) - 1, n_points).round().astype(int)
        points += [RocPoint(name, float(false[i]), float(true[i])) for i in kept]
    return points
