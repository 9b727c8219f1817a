"""Write the page of the studies: leakage, seeds, learning rates, batch sizes, claims."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.reporting.page import describe_sample, render_page
from mri_stages.storage.files import read_csv, read_json, write_bytes
from mri_stages.studies.answers import (
    MEASURE,
    compare_values,
    describe_comparison,
    format_number,
)
from mri_stages.studies.claims import JudgedClaim, Question
from mri_stages.studies.leakage_dose import list_doses
from mri_stages.studies.points import LrRule, StudyName
from mri_stages.studies.records import LeakageRun, Summary
from mri_stages.studies.rules import Verdict

# Measures of a run, and how the heads of the tables name them.
FIT_MEASURES = {
    "held_out_accuracy": "held-out accuracy",
    "train_accuracy": "training accuracy",
    "train_loss": "training loss",
    "steps_to_90": "steps to 90 % training accuracy",
    "largest_rise": "largest rise of the loss",
}
CURVATURE_MEASURES = {
    "noise_scale_start": "gradient noise scale at the start, rows",
    "noise_scale_end": "gradient noise scale at the end, rows",
    "sharpness": "sharpness at the end",
}
MIN_POWER_OF_TEN = 1e6  # from here on a number is written as 2.3e+08
RULE_NAMES = {LrRule.FIXED: "learning rate fixed", LrRule.LINEAR: "learning rate in proportion"}

Cells = tuple[Any, ...]  # texts and numbers


@dataclass(frozen=True)
class CaptionedTable:
    caption: str
    header: Sequence[str]
    rows: Sequence[Cells]


@dataclass(frozen=True)
class Answer:
    """What a study says about its values, in words, and its highest held-out accuracy."""

    subject: str  # of the sentence
    text: str
    best: str  # a value; "" where all diverged
    best_accuracy: str


@dataclass(frozen=True)
class LeakageAnswer:
    """Mean accuracies of the leakage study."""

    accuracies: Mapping[int, float]  # by share, per cent of the test subjects, from the lowest
    permuted_accuracy: float


@dataclass(frozen=True)
class StudiesPage:
    """The values of studies.html.jinja."""

    data_title: str
    sample_note: str  # empty where the images are not the sample
    answers: Sequence[Answer]
    leakage_model: str
    leakage_answers: Sequence[LeakageAnswer]  # one, or without subject ids none
    n_claims: int
    n_holding_claims: int
    n_failing_claims: int
    n_undecided_claims: int
    seed_table: CaptionedTable
    learning_rate_tables: Sequence[CaptionedTable]
    batch_size_tables: Sequence[CaptionedTable]
    q1_table: CaptionedTable
    q2_table: CaptionedTable
    params_text: str


def main() -> None:
    params = read_params()
    claims = read_json(paths.CLAIMS, dict[str, list[JudgedClaim]])["claims"]
    summaries = read_csv(paths.STUDY_SUMMARY, Summary)
    leakage_runs = []
    for dose in list_doses(params.studies.leakage):
        leakage_runs += read_csv(dose.path, LeakageRun, least=0)  # none without subject ids
    page = build_page(params, claims, summaries, leakage_runs)
    write_bytes(paths.STUDY_REPORT, render_page("studies.html.jinja", page=page))
    print(f"wrote {paths.STUDY_REPORT}")


def build_page(
    params: Params,
    claims: Sequence[JudgedClaim],
    summaries: Iterable[Summary],
    leakage_runs: Sequence[LeakageRun],
) -> StudiesPage:
    studies = params.studies
    rate_model = studies.learning_rate.model
    verdicts = [claim.verdict for claim in claims]
    rows_of_study = {study: list(rows) for study, rows in groupby(summaries, lambda row: row.study)}
    return StudiesPage(
        data_title=params.data.title,
        sample_note=describe_sample(params.data.raw),
        answers=build_answers(params, rows_of_study),
        leakage_model=studies.leakage.model,
        leakage_answers=build_leakage_answers(leakage_runs),
        n_claims=len(claims),
        n_holding_claims=verdicts.count(Verdict.HOLDS),
        n_failing_claims=verdicts.count(Verdict.DOES_NOT_HOLD),
        n_undecided_claims=verdicts.count(Verdict.UNDECIDED),
        seed_table=build_values_table(
            "Models over seeds", "model", FIT_MEASURES, rows_of_study[StudyName.SEED]
        ),
        learning_rate_tables=build_study_tables(
            f"{rate_model} by learning rate",
            "learning rate",
            rows_of_study[StudyName.LEARNING_RATE],
        ),
        batch_size_tables=build_batch_size_tables(studies.batch_size.model, rows_of_study),
        q1_table=build_claims_table(params.data.title, claims, Question.Q1),
        q2_table=build_claims_table(params.data.title, claims, Question.Q2),
        params_text=paths.PARAMS.read_text(encoding="utf-8"),
    )


def build_answers(params: Params, rows_of_study: Mapping[str, Sequence[Summary]]) -> list[Answer]:
    """Return what each study says: learning rates, batch sizes, models."""
    rate_model = params.studies.learning_rate.model
    size_model = params.studies.batch_size.model
    subjects: dict[str, str] = {StudyName.LEARNING_RATE: f"Learning rates of {rate_model}"}
    for rule, rule_name in RULE_NAMES.items():
        subjects[rule] = f"Batch sizes of {size_model}, {rule_name}"
    if len(params.studies.seed.models) > 1:
        subjects[StudyName.SEED] = "Models with their own recipes"
    return [build_answer(subject, rows_of_study[study]) for study, subject in subjects.items()]


def build_answer(subject: str, summaries: Sequence[Summary]) -> Answer:
    comparison = compare_values(summaries)
    best_accuracy = ""
    for row in summaries:
        if row.measure == MEASURE and format_number(row.value) == comparison.best:
            best_accuracy = format_summary(row)
    return Answer(subject, describe_comparison(comparison), comparison.best, best_accuracy)


def build_leakage_answers(runs: Sequence[LeakageRun]) -> list[LeakageAnswer]:
    """Return the mean accuracy of each share, and with permuted labels; nothing without runs."""
    shares = sorted({run.share for run in runs if not run.permuted})
    permuted_runs = [run for run in runs if run.permuted]
    if not shares or not permuted_runs:
        return []

    accuracies = {}
    for share in shares:
        group = [run for run in runs if run.share == share and not run.permuted]
        accuracies[share] = fmean(run.accuracy for run in group)
    return [LeakageAnswer(accuracies, fmean(run.accuracy for run in permuted_runs))]


def build_batch_size_tables(
    model_name: str, rows_of_study: Mapping[str, Iterable[Summary]]
) -> list[CaptionedTable]:
    """Return a table for each rule that sets the learning rate."""
    tables = []
    for rule, rule_name in RULE_NAMES.items():
        caption = f"{model_name} by batch size, {rule_name}"
        tables += build_study_tables(caption, "batch size", rows_of_study[rule])
    return tables


def build_study_tables(
    caption: str, value_name: str, summaries: Iterable[Summary]
) -> list[CaptionedTable]:
    """Return a table of the fit and one of the curvature: together they are too wide."""
    rows = list(summaries)
    return [
        build_values_table(caption, value_name, FIT_MEASURES, rows),
        build_values_table(f"{caption}: curvature", value_name, CURVATURE_MEASURES, rows),
    ]


def build_values_table(
    caption: str, value_name: str, measures: Mapping[str, str], summaries: Iterable[Summary]
) -> CaptionedTable:
    """Return a row for each value: its measures, and how many of its runs diverged, if any did."""
    summaries = list(summaries)
    has_divergence = any(row.diverged for row in summaries)
    header = [value_name, *measures.values()]
    if has_divergence:
        header.append("diverged")

    rows = []
    for value, group in groupby(summaries, lambda row: row.value):
        summary_of = {row.measure: row for row in group}
        rows_of_measures = [summary_of[measure] for measure in measures]
        cells: list[Any] = [format_number(value), *map(format_summary, rows_of_measures)]
        if has_divergence:
            first_row = rows_of_measures[0]
            cells.append(f"{first_row.diverged} of {first_row.runs + first_row.without}")
        rows.append(tuple(cells))
    return CaptionedTable(caption, header, rows)


def build_claims_table(
    data_title: str, claims: Iterable[JudgedClaim], question: Question
) -> CaptionedTable:
    caption = f"The notebook's claims, tested on {data_title}"
    rows = [build_claim_row(claim) for claim in claims if claim.question is question]
    return CaptionedTable(caption, ["claim", "verdict", "rule", "figures"], rows)


def build_claim_row(claim: JudgedClaim) -> Cells:
    rule = claim.rule
    if claim.would_decide is not None:
        rule += f". Would decide: {claim.would_decide}"
    return claim.claim, claim.verdict.value, rule, format_figures(claim.figures)


def format_summary(summary: Summary) -> str:
    return format_spread(summary.mean, summary.sd, summary.without)


def format_spread(mean: float | None, sd: float | None, without: int) -> str:
    """Return mean ± standard deviation, and how many runs have no number, if any."""
    if mean is None:
        return "-"
    text = format_digits(mean, 3)
    if sd is not None:
        text += f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{format_digits(sd, 2)}"
    if without:
        text += f" ({without} without)"
    return text


def format_digits(value: float, n_digits: int) -> str:
    """Return a number with so many digits, and with all before the point up to a million."""
    if abs(value) >= MIN_POWER_OF_TEN:
        return f"{value:.{n_digits}g}"
    return f"{value:.{n_digits}g}" if abs(value) < 10**n_digits - 0.5 else f"{value:.0f}"


def format_figures(figures: Mapping[str, Any]) -> str:
    """Return the figures of a claim in one line."""
    texts = [f"{key.replace('_', ' ')}: {format_figure(value)}" for key, value in figures.items()]
    return "; ".join(texts)


def format_figure(figure: Any) -> str:
    """Return a figure as text; a group of figures stands in parentheses."""
    if isinstance(figure, float):
        return format_digits(figure, 3)
    if not isinstance(figure, dict):
        return str(figure)
    if "of" in figure:  # a mean over so many runs
        return format_spread(figure.get("mean"), figure.get("sd"), figure.get("without", 0))
    return f"({format_figures(figure)})"


if __name__ == "__main__":
    run_stage(main)
