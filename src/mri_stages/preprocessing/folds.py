"""Assign all rows to folds for cross-validation, by subject where ids are known."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri_stages.config.schema import CrossValidation
from mri_stages.errors import InputError
from mri_stages.storage.arrays import Shape
from mri_stages.storage.copies import Copies, find_copies
from mri_stages.storage.dataset import AllRows

Integers = NDArray[np.int64]  # (N,)

CONFIG_KEY = "params.yaml: cross_validation.folds"


class NoFoldsError(InputError):
    """No number of folds is possible with these rows."""


class FoldLimit(NamedTuple):
    """How many folds there can be."""

    max_folds: int
    counted: str  # whose number that is

    def describe_excess(self, n_folds: int, source: str = CONFIG_KEY) -> str:
        """Return what is wrong with a number of folds, after `source`; "" if nothing is."""
        if n_folds <= self.max_folds:
            return ""
        return (
            f"{source}: {n_folds} folds, expected at most {self.max_folds}, the number of "
            f"{self.counted}"
        )


def derive_seed(seed: int, repeat: int) -> int:
    """Return the seed of a repeat: `seed` itself for repeat 0, else a hash of both.

    So two runs whose seeds are neighbours have no other repeat in common.
    """
    if repeat == 0:
        return seed
    return int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])


def assign_folds_of_repeats(
    rows: AllRows, image_shape: Shape, options: CrossValidation, strata: Integers | None = None
) -> list[Integers]:
    """Return the fold (N,) of each row, for each repeat of the cross-validation.

    There is no repeat, and a note that says why, if no folds are possible. Without subject ids,
    rows of the same bytes are in one fold.
    strata: see `assign_folds`.
    """
    seeds = [derive_seed(options.seed, repeat) for repeat in range(options.repeats)]
    return assign_folds_by_seed(rows, image_shape, options.folds, seeds, strata)


def assign_folds_by_seed(
    rows: AllRows,
    image_shape: Shape,
    n_folds: int,
    seeds: Sequence[int],
    strata: Integers | None = None,
) -> list[Integers]:
    """Return the fold (N,) of each row, for each seed; see `assign_folds_of_repeats`."""
    copies = None
    if rows.subjects is None:
        copies = find_copies(rows.parts, image_shape)
        n_copies = int(copies.copy_mask.sum())
        if n_copies:
            print(f"note: {n_copies:,} rows are exact copies of another row: they share its fold")
    try:
        return [
            assign_folds(rows.labels, rows.subjects, n_folds, seed, copies=copies, strata=strata)
            for seed in seeds
        ]
    except NoFoldsError as error:
        print(f"note: {error}")
        return []


def assign_folds(
    labels: Integers,
    subjects: Integers | None,
    n_folds: int,
    seed: int,
    source: str = CONFIG_KEY,
    copies: Copies | None = None,
    strata: Integers | None = None,
) -> Integers:
    """Return the fold (N,) in which each row is test, from labels (N,) and subject ids (N,).

    With ids, all rows of a subject are in one fold; without, all rows of the same bytes, if
    `copies` are known. The folds keep the shares of the classes or, with ids, of `strata` (N,).
    Raise NoFoldsError if no number of folds is possible. Raise InputError,
    which starts with `source`, if rows or subjects fill fewer folds, or one class is all that is
    left to train on or to score.
    """
    first_rows = np.arange(len(labels)) if copies is None else copies.first_rows
    if subjects is None:
        check_folds_are_possible(labels, first_rows, source, "image")
        check_fold_count(labels[np.unique(first_rows)], None, n_folds, source)
        folds = split_images(labels, first_rows, n_folds, seed)
    else:
        check_folds_are_possible(labels, subjects, source, "subject")
        check_fold_count(labels, subjects, n_folds, source)
        if strata is not None:
            check_stratum_sizes(strata, subjects, n_folds, source)
        folds = split_subjects(labels if strata is None else strata, subjects, n_folds, seed)
    check_folds(labels, folds, n_folds, source)
    return folds


def split_subjects(strata: Integers, subjects: Integers, n_folds: int, seed: int) -> Integers:
    """Return the fold (N,) of each row, stratified, with all rows of a subject in one fold."""
    # Its import takes seconds, and who only asks whether folds are possible needs none.
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    folds = np.empty(len(strata), np.int64)
    with ignore_rare_classes():
        for fold, (_, test) in enumerate(splitter.split(strata, strata, subjects)):
            folds[test] = fold
    return folds


def split_images(labels: Integers, first_rows: Integers, n_folds: int, seed: int) -> Integers:
    """Return the fold (N,) of each row, stratified; copies (N,) have the fold of their first row.

    StratifiedGroupKFold would take a minute for 24,000 images.
    """
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    images = np.unique(first_rows)
    folds = np.empty(len(labels), np.int64)
    with ignore_rare_classes():
        for fold, (_, test) in enumerate(splitter.split(images, labels[images])):
            folds[images[test]] = fold
    return folds[first_rows]


def ignore_rare_classes() -> warnings.catch_warnings:
    """Ignore that scikit-learn warns of classes with fewer rows than folds, which are allowed."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def check_stratum_sizes(strata: Integers, subjects: Integers, n_folds: int, source: str) -> None:
    """Raise InputError if no stratum of rows (N,) has a subject for each fold."""
    subject_counts = count_subjects_of_strata(strata, subjects)
    if subject_counts.max() < n_folds:
        raise InputError(
            f"{source}: {n_folds} folds, expected at most {subject_counts.max()}, the subjects of "
            "the largest group of class and cross_validation.stratify; use fewer folds, or name "
            "fewer columns"
        )


def count_subjects_of_strata(strata: Integers, subjects: Integers) -> Integers:
    """Return the number of subjects (S,) that have rows (N,) of each stratum."""
    stratum_of_pair, _ = np.unique(np.stack([strata, subjects]), axis=1)
    _, subject_counts = np.unique(stratum_of_pair, return_counts=True)
    return subject_counts


def check_folds(labels: Integers, folds: Integers, n_folds: int, source: str) -> None:
    """Raise InputError if a fold (N,) is empty, or one class is all that is left to train on."""
    for fold in range(n_folds):
        test_mask = folds == fold
        if not test_mask.any() or len(np.unique(labels[~test_mask])) < 2:
            change = "fewer folds" if n_folds > 2 else "more folds"
            raise InputError(
                f"{source}: {n_folds} folds, but one fold has no rows, or leaves only one "
                f"class to train on; use {change} or another seed"
            )
    if not has_class_in_two_folds(labels, folds):
        raise InputError(f"{source}: no class has rows in two folds, use another seed")


def check_folds_are_possible(labels: Integers, groups: Integers, source: str, unit: str) -> None:
    """Raise NoFoldsError, which says why, if no number of folds is possible.

    groups: (N,) rows that stay together, called a `unit`. If folds of a single group each are
    impossible, then so are folds of several groups, which leave less to train on.
    """
    prefix = f"{source}: no folds are possible, so nothing is known of new {unit}s"
    if len(np.unique(groups)) == 1:
        raise NoFoldsError(f"{prefix}: all rows are of one {unit}")

    # A pair is a class and a group that has rows of it.
    pair_labels, pair_groups = np.unique(np.stack([labels, groups]), axis=1)
    classes, group_counts = np.unique(pair_labels, return_counts=True)
    if group_counts.max() < 2:
        raise NoFoldsError(f"{prefix}: no class has rows of two {unit}s")

    # Without a group, the classes are missing that no other group has.
    lonely_mask = np.isin(pair_labels, classes[group_counts == 1])
    _, lost_counts = np.unique(pair_groups[lonely_mask], return_counts=True)
    if len(classes) - lost_counts.max(initial=0) < 2:
        raise NoFoldsError(
            f"{prefix}: without one {unit}, fewer than two classes are left to train on"
        )


def check_fold_count(
    labels: Integers, subjects: Integers | None, n_folds: int, source: str
) -> None:
    """Raise InputError if there are more folds than rows of the largest class, or than subjects."""
    problem = find_fold_limit(labels, subjects).describe_excess(n_folds, source)
    if problem:
        raise InputError(problem)


def are_folds_possible(labels: Integers, subjects: Integers | None) -> bool:
    """Return whether any number of folds is possible with rows (N,) of these labels and ids."""
    groups = np.arange(len(labels)) if subjects is None else subjects
    try:
        check_folds_are_possible(labels, groups, CONFIG_KEY, "group")
    except NoFoldsError:
        return False
    return True


def find_fold_limit(labels: Integers, subjects: Integers | None) -> FoldLimit:
    """Return the number of rows (N,) of the largest class, or of subjects if these are fewer."""
    limits = [FoldLimit(int(np.bincount(labels).max()), "rows of the largest class")]
    if subjects is not None:
        limits.append(FoldLimit(len(np.unique(subjects)), "subjects in all"))
    return min(limits)


def has_class_in_two_folds(labels: Integers, folds: Integers) -> bool:
    return any(len(np.unique(folds[labels == label])) > 1 for label in np.unique(labels))
