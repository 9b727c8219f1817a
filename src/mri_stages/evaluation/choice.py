"""The choice of a model inside each fold, and the score of what was chosen."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mri_stages.evaluation.fold_auc import compute_auc_by_fold, compute_fold_aucs
from mri_stages.storage.choices import Choice
from mri_stages.storage.inner_predictions import InnerPredictions, OuterFold
from mri_stages.storage.predictions import Predictions, average_by_subject


class Candidate(NamedTuple):
    """A model or baseline that a fold may choose."""

    repeats: Sequence[Predictions]  # of the outer folds, each subject once
    inner: InnerPredictions


Candidates = Mapping[str, Candidate]  # by name; of equal ones, the first is chosen


def choose_models(candidates: Candidates, negative_label: int | None) -> dict[OuterFold, str]:
    """Return the best model of each outer fold: no subject of that fold has a say.

    It is the one with the highest mean AUC of the inner folds, each subject counted once. A model
    without that cannot be chosen; "" where no model has one.
    """
    places: set[OuterFold] = set()
    for candidate in candidates.values():
        places |= candidate.inner.keys()
    best_names = {}
    for place in sorted(places):
        best_name = ""
        best_auc = -1.0
        for name, candidate in candidates.items():
            auc = compute_inner_auc(candidate, place, negative_label)
            if auc is not None and auc > best_auc:
                best_name = name
                best_auc = auc
        best_names[place] = best_name
    return best_names


def compute_inner_auc(
    candidate: Candidate, place: OuterFold, negative_label: int | None
) -> float | None:
    """Return the mean AUC of the inner folds of an outer fold; None without."""
    if place not in candidate.inner:
        return None
    predictions = candidate.inner[place]._replace(repeats=None)
    return compute_auc_by_fold([average_by_subject(predictions)], negative_label)


def join_best_predictions(
    candidates: Candidates, best_names: Mapping[OuterFold, str]
) -> list[Predictions]:
    """Return the outer predictions of each repeat, those of each fold by the model that it chose.

    All candidates have the same subjects in each repeat. Only within a fold can they be compared.
    """
    repeats = []
    for repeat in sorted({place.repeat for place in best_names}):
        first_name = best_names[OuterFold(repeat, 0)]
        joined = candidates[first_name].repeats[repeat]
        probabilities = joined.probabilities.copy()
        for place, name in best_names.items():
            if place.repeat == repeat:
                row_mask = joined.folds == place.fold
                probabilities[row_mask] = candidates[name].repeats[repeat].probabilities[row_mask]
        repeats.append(joined._replace(probabilities=probabilities))
    return repeats


def list_choices(
    candidates: Candidates, best_names: Mapping[OuterFold, str], negative_label: int | None
) -> list[Choice]:
    """Return a row per outer fold, with the AUC on it of the model that it chose."""
    choices = []
    for place, name in best_names.items():
        aucs = compute_fold_aucs(candidates[name].repeats[place.repeat], negative_label)
        choices.append(Choice(place.repeat, place.fold, name, aucs.get(place.fold)))
    return choices
