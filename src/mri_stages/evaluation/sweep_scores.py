"""The scores by which a sweep compares: no test row and no outer fold has a say in them."""

import math
from pathlib import Path
from statistics import fmean

from mri_stages.errors import InputError
from mri_stages.evaluation.choice import Candidate, compute_inner_auc
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.storage.files import explain_read_errors, parse_csv, read_csv
from mri_stages.storage.history import Epoch, find_best_epoch, split_by_network
from mri_stages.storage.inner_predictions import read_inner_predictions

PROBABILITY = "p_"  # begins the columns of the classes


def read_validation_loss(path: Path) -> float:
    """Return the validation loss of the kept epoch, of an ensemble the mean over its networks.

    path: of plots/history/M.csv. NaN where a network never had a finite one.
    """
    losses = []
    for history in split_by_network(read_csv(path, Epoch)):
        best_epoch = find_best_epoch(history)
        kept_losses = [row.validation_loss for row in history if row.epoch == best_epoch]
        losses += [math.nan if loss is None else loss for loss in kept_losses or [None]]
    return fmean(losses)


def read_inner_auc(path: Path, negative_class: str | None) -> float:
    """Return the mean over the outer folds of the AUC on their inner folds, each subject once.

    path: of data/inner/M.csv. NaN where a fold has none, since its network diverged. InputError
    for a file without rows.
    """
    with explain_read_errors(path):
        rows = parse_csv(path)
    if not rows:
        raise InputError("no inner predictions, since these data have no folds")
    columns = [name for name in rows[0] if name.startswith(PROBABILITY)]
    classes = [name.removeprefix(PROBABILITY) for name in columns]

    negative_label = find_negative_label(negative_class, classes)
    candidate = Candidate([], read_inner_predictions(path, classes))
    aucs = [compute_inner_auc(candidate, place, negative_label) for place in candidate.inner]
    return fmean(math.nan if auc is None else auc for auc in aucs)
