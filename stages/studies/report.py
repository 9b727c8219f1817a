"""Write the page of the studies: leakage, seeds, learning rates, batch sizes, claims."""

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.reporting.page import render_page
from mri_stages.storage.files import read_csv, read_json, write_bytes
from mri_stages.studies.claims import Claim
from mri_stages.studies.leakage_dose import LeakageRun
from mri_stages.studies.measure import Summary

FIT = ("held_out_accuracy", "train_accuracy", "gap", "train_loss", "steps_to_90", "largest_rise")
CURVED = (*FIT, "noise_scale_start", "noise_scale_end", "sharpness")
MEASURES = {"seed": FIT, "learning_rate": CURVED, "fixed": CURVED, "linear": CURVED}  # by study


def main() -> None:
    claims = read_json(paths.CLAIMS, dict[str, list[Claim]])["claims"]
    page = render_page(
        "studies.html.jinja",
        params=read_params(),
        has_doses=bool(read_csv(paths.study_runs("leakage", "permuted"), LeakageRun, least=0)),
        measures=MEASURES,
        values=tables(read_csv(paths.STUDY_SUMMARY, Summary)),
        verdicts=[claim.verdict for claim in claims],
        claims={q: [cells(c) for c in claims if c.question == q] for q in ("Q1", "Q2")},
        params_text=paths.PARAMS.read_text(encoding="utf-8"),
    )
    write_bytes(paths.STUDY_REPORT, page)
    print(f"wrote {paths.STUDY_REPORT}")


def tables(summaries: Iterable[Summary]) -> dict[str, list[Any]]:
    """Return the rows of each study's table: a value, its measures, how many runs diverged."""
    found: dict[str, list[Any]] = {study: [] for study in MEASURES}
    for (study, value), rows in groupby(summaries, attrgetter("study", "value")):
        of = {row.measure: row for row in rows}
        measures = [of[measure] for measure in MEASURES[study]]
        texts = (spread(row.mean, row.sd, row.without) for row in measures)
        found[study].append((str(value), *texts, measures[0].diverged))
    return found


def cells(claim: Claim) -> tuple[str, ...]:
    rule = claim.rule + (f". Would decide: {claim.would_decide}" if claim.would_decide else "")
    return claim.claim, claim.verdict, rule, as_text(claim.figures)[1:-1]


def spread(mean: float | None, sd: float | None, without: int) -> str:
    """Return mean ± standard deviation, and how many runs have no number, if any."""
    if mean is None:
        return "-"
    text = f"{mean:.3g}" + ("" if sd is None else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{sd:.2g}")
    return f"{text} ({without} without)" if without else text


def as_text(figures: Any) -> str:
    """Return the figures of a claim in one line, groups in parentheses instead of JSON's marks."""
    if not isinstance(figures, dict):
        return str(figures)
    if "of" in figures:  # a mean over so many runs
        return spread(figures.get("mean"), figures.get("sd"), figures.get("without", 0))
    texts = (f"{key.replace('_', ' ')}: {as_text(value)}" for key, value in figures.items())
    return f"({'; '.join(texts)})"


if __name__ == "__main__":
    run_stage(main)
