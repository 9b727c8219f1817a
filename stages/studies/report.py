"""Write the page of the studies: leakage, seeds, learning rates, batch sizes, claims."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.reporting.page import render_page
from mri_stages.storage.files import read_csv, read_json, write_bytes
from mri_stages.studies.claims import JudgedClaim, Question
from mri_stages.studies.leakage_dose import PERMUTED_DOSE
from mri_stages.studies.points import LrRule, StudyName
from mri_stages.studies.records import LeakageRun, Summary
from mri_stages.studies.rules import Verdict

FIT_MEASURES = (
    "held_out_accuracy", "train_accuracy", "gap", "train_loss", "steps_to_90", "largest_rise",
)  # fmt: skip
CURVATURE_MEASURES = ("noise_scale_start", "noise_scale_end", "sharpness")

Cells = tuple[Any, ...]  # texts and numbers


@dataclass(frozen=True)
class CaptionedTable:
    caption: str
    header: Sequence[str]
    rows: Sequence[Cells]


@dataclass(frozen=True)
class StudiesPage:
    """The values of studies.html.jinja."""

    data_title: str
    leakage_model: str
    has_leakage_runs: bool  # False: without subject ids there are none
    n_claims: int
    n_holding_claims: int
    n_failing_claims: int
    n_undecided_claims: int
    seed_table: CaptionedTable
    learning_rate_table: CaptionedTable
    batch_size_tables: Sequence[CaptionedTable]
    q1_table: CaptionedTable
    q2_table: CaptionedTable
    params_text: str


def main() -> None:
    params = read_params()
    claims = read_json(paths.CLAIMS, dict[str, list[JudgedClaim]])["claims"]
    summaries = read_csv(paths.STUDY_SUMMARY, Summary)
    leakage_runs = read_csv(PERMUTED_DOSE.path, LeakageRun, least=0)
    page = build_page(params, claims, summaries, has_leakage_runs=bool(leakage_runs))
    write_bytes(paths.STUDY_REPORT, render_page("studies.html.jinja", page=page))
    print(f"wrote {paths.STUDY_REPORT}")


def build_page(
    params: Params,
    claims: Sequence[JudgedClaim],
    summaries: Iterable[Summary],
    has_leakage_runs: bool,
) -> StudiesPage:
    studies = params.studies
    rate_model = studies.learning_rate.model
    verdicts = [claim.verdict for claim in claims]
    rows_of_study = {study: list(rows) for study, rows in groupby(summaries, lambda row: row.study)}
    return StudiesPage(
        data_title=params.data.title,
        leakage_model=studies.leakage.model,
        has_leakage_runs=has_leakage_runs,
        n_claims=len(claims),
        n_holding_claims=verdicts.count(Verdict.HOLDS),
        n_failing_claims=verdicts.count(Verdict.DOES_NOT_HOLD),
        n_undecided_claims=verdicts.count(Verdict.UNDECIDED),
        seed_table=build_values_table(
            "Models over seeds", "model", FIT_MEASURES, rows_of_study[StudyName.SEED]
        ),
        learning_rate_table=build_values_table(
            f"{rate_model} by learning rate",
            "learning rate",
            (*FIT_MEASURES, *CURVATURE_MEASURES),
            rows_of_study[StudyName.LEARNING_RATE],
        ),
        batch_size_tables=build_batch_size_tables(studies.batch_size.model, rows_of_study),
        q1_table=build_claims_table(params.data.title, claims, Question.Q1),
        q2_table=build_claims_table(params.data.title, claims, Question.Q2),
        params_text=paths.PARAMS.read_text(encoding="utf-8"),
    )


def build_batch_size_tables(
    model_name: str, rows_of_study: Mapping[str, Iterable[Summary]]
) -> list[CaptionedTable]:
    """Return a table for each rule that sets the learning rate."""
    tables = []
    for rule, rule_name in ((LrRule.FIXED, "fixed"), (LrRule.LINEAR, "in proportion")):
        table = build_values_table(
            f"{model_name} by batch size, learning rate {rule_name}",
            "batch size",
            (*FIT_MEASURES, *CURVATURE_MEASURES),
            rows_of_study[rule],
        )
        tables.append(table)
    return tables


def build_values_table(
    caption: str, value_name: str, measures: Sequence[str], summaries: Iterable[Summary]
) -> CaptionedTable:
    """Return a row for each value: its measures, and how many of its runs diverged."""
    header = [value_name, *(measure.replace("_", " ") for measure in measures), "diverged"]
    rows = []
    for value, group in groupby(summaries, lambda row: row.value):
        summary_of = {row.measure: row for row in group}
        texts = [format_summary(summary_of[measure]) for measure in measures]
        rows.append((str(value), *texts, summary_of[measures[0]].diverged))
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
    text = f"{mean:.3g}"
    if sd is not None:
        text += f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{sd:.2g}"
    if without:
        text += f" ({without} without)"
    return text


def format_figures(figures: Mapping[str, Any]) -> str:
    """Return the figures of a claim in one line."""
    texts = [f"{key.replace('_', ' ')}: {format_figure(value)}" for key, value in figures.items()]
    return "; ".join(texts)


def format_figure(figure: Any) -> str:
    """Return a figure as text; a group of figures stands in parentheses."""
    if not isinstance(figure, dict):
        return str(figure)
    if "of" in figure:  # a mean over so many runs
        return format_spread(figure.get("mean"), figure.get("sd"), figure.get("without", 0))
    return f"({format_figures(figure)})"


if __name__ == "__main__":
    run_stage(main)
