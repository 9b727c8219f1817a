"""Print the results: is a network better than a baseline on new subjects, and two short tables."""

import asyncio
import textwrap
from collections.abc import Mapping, Sequence

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.config.schema import CHOSEN
from mri_stages.console import OneLineParser, align_columns, list_some
from mri_stages.orchestration.dvc_looks import count_looks
from mri_stages.orchestration.dvc_revisions import check_lock
from mri_stages.orchestration.plan import list_due_stages
from mri_stages.reporting.groups import describe_groups
from mri_stages.reporting.headline import Headline, describe_headline, get_unit
from mri_stages.reporting.numbers import format_interval, format_score
from mri_stages.reporting.scores import (
    ACCURACY,
    AUC,
    AUC_BY_FOLD,
    BALANCED_ACCURACY,
    LOSS,
    MACRO_F1,
    NET_BENEFIT,
    SCALED_BRIER,
    SENSITIVITY,
    SLOPE,
    SPECIFICITY,
    Score,
    select_known_scores,
)
from mri_stages.storage.choices import (
    Choice,
    ChosenMetrics,
    describe_choices,
    read_choices,
    read_chosen_metrics,
)
from mri_stages.storage.groups import read_groups
from mri_stages.storage.records import (
    NO_RESULT,
    Metrics,
    list_missing_models,
    read_differences,
    read_given_metrics,
    read_leakage,
    read_new_subject_metrics,
)

MAX_NAME_LENGTH = 24  # a longer name is cut
LINE_WIDTH = 110
SHORT_HEADINGS = {SCALED_BRIER: "scaled Brier", SLOPE: "slope", BALANCED_ACCURACY: "balanced"}

# The page has more scores, and more intervals.
TWO_CLASS_SCORES = (AUC, SCALED_BRIER, SLOPE, NET_BENEFIT, SENSITIVITY, SPECIFICITY)
CLASS_SCORES = (BALANCED_ACCURACY, ACCURACY, MACRO_F1)
GIVEN_SPLIT_SCORES = (AUC, LOSS, BALANCED_ACCURACY, ACCURACY, MACRO_F1)


def main(argv: Sequence[str]) -> None:
    OneLineParser(prog="mri-stages results", description=__doc__).parse_args(argv)
    check_lock()  # All that is printed below the tables reads it.
    print_results()
    print_looks()
    print_due_stages()


def print_results() -> None:
    """Print what the stages wrote, as it is."""
    params = read_params()
    options = params.cross_validation
    # All is read before anything is printed: an error is one line.
    new_metrics = read_new_subject_metrics(params)
    given_metrics = read_given_metrics(params)
    differences = read_differences()
    leakage = read_leakage()
    groups = read_groups()
    chosen_metrics = read_chosen_metrics()
    choices = read_choices() if chosen_metrics is not None else []

    headline = describe_headline(list(options.models), new_metrics, differences)
    print_headline(headline)
    if new_metrics:
        title = f"New {get_unit(new_metrics)}s: {describe_folds(options.folds, options.repeats)}"
        missing_models = list_missing_models(options.models, new_metrics)
        print_table(title, new_metrics, choose_new_scores(new_metrics), missing_models)
        print_paragraph(" ".join(describe_groups(groups)))
        if chosen_metrics is not None:
            print_choice(new_metrics, chosen_metrics, choices)
    missing_models = list_missing_models(params.models, given_metrics)
    print_table("Given split: test rows", given_metrics, GIVEN_SPLIT_SCORES, missing_models)

    if leakage.warning:
        print_paragraph(f"warning: {leakage.warning}")
    print_paragraph(leakage.sentence)
    if paths.REPORT.exists():
        print(f"\nAll scores and intervals: {paths.REPORT}")


def print_looks() -> None:
    """Print how many recipes were scored on the folds of the table of new subjects, at least."""
    if read_new_subject_metrics(read_params()):
        print_paragraph(asyncio.run(count_looks()).describe())


def print_due_stages() -> None:
    """Print a warning that names the stages whose results are old, if there are such stages."""
    due_stages = asyncio.run(list_due_stages())
    if due_stages.running:
        print(f"note: runs now: {list_some(due_stages.running)}")
    if due_stages.waiting:
        print(
            f"warning: not up to date: {list_some(due_stages.waiting)}; "
            "mri-stages plan says why, mri-stages repro renews them"
        )


def print_headline(headline: Headline) -> None:
    """Print the first sentence, and below it what it rests on."""
    print_paragraph(headline.sentence)
    print_paragraph(" ".join([headline.figures, *headline.notes]).strip())


def print_choice(
    metrics_by_name: Mapping[str, Metrics], chosen_metrics: ChosenMetrics, choices: Sequence[Choice]
) -> None:
    """Print the AUC by fold of every row, and of what the folds chose."""
    print("\nChosen inside the folds: mean of the folds' AUCs")
    rows = []
    for name, metrics in metrics_by_name.items():
        rows.append([name, format_interval(*metrics.get_estimate(AUC_BY_FOLD.key))])
    rows.append([CHOSEN, format_interval(*chosen_metrics.estimate)])
    print_aligned(rows)
    print_paragraph(f"The folds chose {describe_choices(choices)}.")


def print_paragraph(text: str) -> None:
    """Print a text in lines, below an empty line; nothing for an empty text."""
    if text:
        print(f"\n{textwrap.fill(text, LINE_WIDTH)}")


def describe_folds(n_folds: int, n_repeats: int) -> str:
    repeats = "" if n_repeats == 1 else f", {n_repeats} times"
    return f"{n_folds} folds of all rows{repeats}"


def choose_new_scores(metrics_by_name: Mapping[str, Metrics]) -> list[Score]:
    """Return the scores of the table of new subjects: of two classes, if there are such scores."""
    if select_known_scores([SCALED_BRIER], metrics_by_name):
        return [*TWO_CLASS_SCORES, ACCURACY, MACRO_F1]
    return [AUC, *CLASS_SCORES]


def print_table(
    title: str,
    metrics_by_name: Mapping[str, Metrics],
    scores: Sequence[Score],
    missing_models: Sequence[str] = (),
) -> None:
    """Print a row of each model; last, those without a result."""
    shown_scores = select_known_scores(scores, metrics_by_name)
    header = ["", *(SHORT_HEADINGS.get(score, score.heading) for score in shown_scores)]
    rows = []
    for name, metrics in metrics_by_name.items():
        rows.append([name, *(format_cell(metrics, score) for score in shown_scores)])
    rows += [[name, NO_RESULT] for name in missing_models]
    print(f"\n{title}")
    print_aligned([header, *rows])


def format_cell(metrics: Metrics, score: Score) -> str:
    """Return a score, that of the AUC with its interval; `diverged` in place of an AUC."""
    if score is AUC and metrics.diverged:
        return "diverged"
    estimate = metrics.get_estimate(score.key)
    if score is AUC or (score is ACCURACY and metrics.by is None):
        return format_interval(*estimate)
    return format_score(estimate.value)


def print_aligned(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of texts, the first column to the left and all others to the right."""
    clipped_rows = [[row[0][:MAX_NAME_LENGTH], *row[1:]] for row in rows]
    n_columns = max(map(len, rows))
    print("\n".join(align_columns(clipped_rows, range(1, n_columns))))
