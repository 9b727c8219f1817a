"""Write the page of the studies: seeds, learning rates, batch sizes and the notebook's claims."""

from collections import defaultdict
from typing import Any

from src import paths
from src.cli import run
from src.params import read_params
from src.reporting.page import render
from src.storage.files import read_csv, read_json, write_bytes
from src.studies.claims import Claim, Claims, Throughput

FIT = ("held_out_accuracy", "train_accuracy", "gap", "train_loss", "steps_to_90", "largest_rise")
CURVED = (*FIT, "noise_scale_start", "noise_scale_end", "sharpness")
MEASURES = {"seed": FIT, "learning_rate": CURVED, "fixed": CURVED, "linear": CURVED}  # by study


def main() -> None:
    studies = read_params().studies
    claims = read_json(paths.CLAIMS, Claims).claims
    page = render(
        "studies.html.jinja",
        studies=studies,
        measures=MEASURES,
        values=read_values(),
        differences=read_differences() if len(studies.seed.models) > 1 else [],
        throughput=[
            (row.batch_size, round(row.images_per_second), round(row.peak_memory_mb), row.device)
            for row in read_json(paths.THROUGHPUT, Throughput).runs
        ],
        verdicts=[claim.verdict for claim in claims],
        claims={q: [claim_row(c) for c in claims if c.question == q] for q in ("Q1", "Q2")},
        params_text=paths.PARAMS.read_text(encoding="utf-8"),
    )
    write_bytes(paths.STUDY_REPORT, page)
    print(f"wrote {paths.STUDY_REPORT}")


def read_values() -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of each study's table: a value, its measures, how many runs diverged."""
    found: defaultdict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in read_csv(paths.STUDY_SUMMARY, dict[str, str]):
        found[row["study"], row["value"]][row["measure"]] = row
    return {
        study: [
            (value, *(spread(of[key]) for key in measures), int(of[measures[0]]["diverged"]))
            for (name, value), of in found.items()
            if name == study
        ]
        for study, measures in MEASURES.items()
    }


def read_differences() -> list[tuple[Any, ...]]:
    """Return the pairs of models: names, held-out accuracies, p, and whether they differ."""
    rows = [list(row.values()) for row in read_csv(paths.STUDY_DIFFERENCES, dict[str, str])]
    return [(*row[:2], *map(float, row[2:5]), row[5] == "True") for row in rows]


def claim_row(claim: Claim) -> tuple[str, ...]:
    rule = claim.rule + (f". Would decide: {claim.would_decide}" if claim.would_decide else "")
    return claim.claim, claim.verdict, rule, as_text(claim.figures)[1:-1]


def spread(figure: dict[str, Any]) -> str:
    """Return mean ± standard deviation, and how many runs have no number, if any."""
    if figure.get("mean") in (None, ""):
        return "-"
    text = f"{float(figure['mean']):.3g}"
    if figure.get("sd") not in (None, ""):
        text += f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{float(figure['sd']):.2g}"
    without = int(figure.get("without", 0))
    return f"{text} ({without} without)" if without else text


def as_text(figures: Any) -> str:
    """Return the figures of a claim in one line, groups in parentheses instead of JSON's marks."""
    if not isinstance(figures, dict):
        return str(figures)
    if "of" in figures:  # a mean over so many runs
        return spread(figures)
    texts = (f"{key.replace('_', ' ')}: {as_text(value)}" for key, value in figures.items())
    return f"({'; '.join(texts)})"


if __name__ == "__main__":
    run(main)
