"""The report of the pipeline: what its template shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mri_stages.reporting.headline import Headline
from mri_stages.reporting.page import render_page
from mri_stages.reporting.tables import Cell, Table
from mri_stages.storage.arrays import Shape
from mri_stages.storage.records import Leakage

MAX_SHOWN_COPIES = 20  # rows of each table of equal rows


@dataclass(frozen=True)
class NewResults:
    """The results on new subjects."""

    probabilities: Table
    decisions: Table  # without columns where there are no two classes
    class_scores: Table
    fold_scores: Table  # the AUC by fold
    choice: str  # which models the folds chose, and how often; empty without inner folds
    differences: Table
    class_tables: list[Table]  # classes and confusion of the best network and the best baseline
    has_two_classes: bool  # whether there are pictures of calibration and decisions
    unscored_classes: str  # empty where all classes are scored
    missing_models: list[str]  # without a result
    baseline_texts: list[str]  # what each baseline of the tables does
    average_text: str  # empty where there is no such row


@dataclass(frozen=True)
class GivenResults:
    """The results on the given split."""

    scores: Table
    pairs: Table
    unscored_classes: str
    missing_models: list[str]


@dataclass(frozen=True)
class ReportPage:
    """Everything that report.html.jinja shows."""

    title: str  # of the data
    unit: str  # what cross-validation counts: subject or row
    headline: Headline
    n_folds: int
    n_repeats: int
    auc_label: str
    positive_label: str
    sample_note: str  # empty where the images are not the sample
    new: NewResults | None  # None where no folds are possible
    group_sentences: list[str]  # none where no group was looked at
    groups: Table
    failures: Table
    robustness: Table  # without rows where no network could be probed
    power_sentences: list[str]  # what these data can show
    power: Table
    given: GivenResults
    given_warning: str  # empty where no test subject is known to train
    leakage_warning: str  # empty without exact copies
    leakage_sentence: str
    leakage_rows: list[tuple[str, float]]
    copy_rows: list[tuple[Cell, ...]]  # a test row, and the training row that it is equal to
    conflict_rows: list[tuple[Cell, ...]]  # two equal rows, each with its class or subject
    has_learning_rates: bool  # whether some models differ in nothing else
    raw_folder: str
    image_shape: Shape
    n_train_rows: int
    n_test_rows: int
    class_rows: list[tuple[str, int, int]]  # class, training rows, test rows
    has_numbered_classes: bool  # whether the font of the pictures may lack a letter of a name
    pictures: Mapping[str, bytes]  # PNG, by name
    params_text: str
    versions: list[tuple[str, str]]  # of packages


def render_report(page: ReportPage) -> bytes:
    return render_page("report.html.jinja", **vars(page))


def describe_given_warning(leakage: Leakage) -> str:
    """Return a warning where subjects of the test rows also train, else nothing."""
    share = leakage.shared_subjects
    if not share:
        return ""
    return (
        f"{share:.0%} of the test rows are of subjects that also have training rows. So a model "
        "can be right here because it knows the subject: the scores of this section say nothing "
        "of new subjects."
    )


def list_leakage_rows(leakage: Leakage, n_test_rows: int) -> list[tuple[str, float]]:
    """Return the shares of plots/leakage.json that are known, each with what it counts."""
    copied_share = None
    if leakage.copied_test_rows is not None:
        copied_share = leakage.copied_test_rows / n_test_rows
    labelled_shares: list[tuple[str, Any]] = [
        ("test rows that are exact copies of a training row", copied_share),
        ("test rows whose subject also has training rows", leakage.shared_subjects),
        (
            "test rows whose nearest training row is of the same subject",
            leakage.same_subject_neighbour,
        ),
        (
            "rows whose nearest row in all data is of the same subject, of subjects with several "
            "rows",
            leakage.nearest_row_of_same_subject,
        ),
        (
            "test rows that the nearest neighbour predicts correctly, on the given split",
            leakage.nearest_neighbour_given,
        ),
        (
            "rows that it predicts correctly, on random folds of all rows",
            leakage.nearest_neighbour_random,
        ),
    ]
    return [(label, share) for label, share in labelled_shares if share is not None]


def list_copy_rows(leakage: Leakage) -> list[tuple[Cell, ...]]:
    """Return the first test rows that are equal to a training row, with that row."""
    return [(copy.test, copy.train) for copy in (leakage.copies or [])[:MAX_SHOWN_COPIES]]


def list_conflict_rows(leakage: Leakage) -> list[tuple[Cell, ...]]:
    """Return the first equal rows of two classes, then of two subjects."""
    rows: list[tuple[Cell, ...]] = []
    for conflicts in (leakage.class_conflicts, leakage.subject_conflicts):
        for conflict in (conflicts or [])[:MAX_SHOWN_COPIES]:
            rows.append(
                (conflict.first, conflict.first_value, conflict.second, conflict.second_value)
            )
    return rows


def describe_positive(negative_class: str | None, classes: Sequence[str]) -> str:
    """Return which subjects are positive, where there are two classes."""
    if negative_class is not None:
        return f"any class but {negative_class}"
    return classes[-1]


def describe_auc(negative_class: str | None, classes: Sequence[str]) -> str:
    """Return what the AUC is of."""
    if negative_class is not None:
        return f"AUC of any other class against {negative_class}"
    if len(classes) == 2:
        return f"AUC of {classes[1]} against {classes[0]}"
    return "mean AUC of each class against the others"
