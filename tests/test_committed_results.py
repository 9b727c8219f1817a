"""The results in Git answer the notebook's question 1; README and docs have their figures."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cpu import show
from mri_stages import paths
from mri_stages.commands.results import choose_new_scores, print_headline, print_table
from mri_stages.config.loading import read_params
from mri_stages.config.schema import AVERAGE, BASELINES
from mri_stages.reporting.headline import describe_headline
from mri_stages.reporting.numbers import format_interval, format_score
from mri_stages.storage.files import read_csv
from mri_stages.storage.records import (
    GIVEN_SPLIT_BASELINES,
    Difference,
    Metrics,
    read_metrics,
)
from tests.helpers.project import REPO

pytestmark = pytest.mark.usefixtures("reference")

REAL_SLICES = REPO / "docs/real-slices"
VERDICTS = ("holds", "does not hold", "not decided here")

# Scores, p values and decimals in tables, of which none may be in a page alone.
SCORE = re.compile(r"\b0\.[1-9]\d\d\b|\bp = [\d.]+|\| \d+\.\d")

Claim = dict[str, Any]


# Question 1 of the notebook: what learning rates do.


def read_model_metrics(name: str) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((REPO / f"metrics/{name}.json").read_text())
    return metrics


def read_train_losses(name: str) -> list[float]:
    with (REPO / "plots/history.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == name]
    return [float(row["train_loss"]) for row in rows]


def test_a_learning_rate_of_0_01_learns() -> None:
    majority = read_model_metrics("majority")
    assert read_model_metrics("conv_nn2")["ci_low"] > majority["accuracy"]


def test_a_learning_rate_of_1e_8_stands_still() -> None:
    losses = read_train_losses("conv_nn3")
    assert losses[-1] == pytest.approx(losses[0], abs=1e-3)


def test_a_learning_rate_of_10_alone_diverges() -> None:
    names = [path.stem for path in REPO.glob("metrics/*_nn?.json")]
    assert len(names) == 6
    assert [name for name in names if read_model_metrics(name)["diverged"]] == ["conv_nn4"]


# The figures of the pages. Each function yields texts that a page must have.


def capture_lines(function: Callable[..., None], *arguments: Any) -> list[str]:
    """Return the lines that a function prints."""
    output = io.StringIO()
    with redirect_stdout(output):
        function(*arguments)
    return output.getvalue().splitlines()


def format_metric_row(path: Path) -> str:
    """Return the row of a table; nothing for a baseline that the data do not allow."""
    metrics = read_metrics(path)
    if metrics is None:
        return ""
    accuracy = format_interval(metrics.accuracy, metrics.ci_low, metrics.ci_high)
    auc = format_interval(metrics.auc, metrics.auc_low, metrics.auc_high)
    return f"| {path.stem} | {accuracy} | {format_score(metrics.balanced_accuracy)} | {auc} |"


def format_choice_row(path: Path) -> str:
    """Return the row of a table on choice: the AUC of all folds together, and that of each fold."""
    metrics = json.loads(path.read_text())
    cells = []
    for name in ("auc", "auc_by_fold"):
        figures = [metrics.get(f"{name}{bound}") for bound in ("", "_low", "_high")]
        cells.append(format_interval(*figures))
    return f"| {path.stem} | {' | '.join(cells)} |"


def list_group_rows(path: Path) -> Iterator[str]:
    """Yield the table row of each model: the AUC of both groups, and the p of their difference."""
    with path.open() as file:
        groups = list(csv.DictReader(file))
    for model in dict.fromkeys(group["model"] for group in groups):
        cells = []
        for group in groups:
            if group["model"] == model:
                figures = (float(group[name]) for name in ("auc", "auc_low", "auc_high"))
                cells.append(format_interval(*figures))
                p = float(group["p"])
        yield f"| {model} | {' | '.join(cells)} | {p:.3f} |"


def list_robustness_rows(folder: Path, models: tuple[str, ...]) -> Iterator[str]:
    """Yield the table row of each change of the images: the AUC of each model."""
    tables = []
    for model in models:
        with (folder / f"{model}.csv").open() as file:
            tables.append(list(csv.DictReader(file)))
    for rows in zip(*tables, strict=True):
        name = f"{rows[0]['change']} {rows[0]['strength']} {rows[0]['unit']}".replace(" 0 ", "")
        cells = []
        for row in rows:
            figures = (float(row[name]) for name in ("auc", "low", "high"))
            cells.append(format_interval(*figures))
        yield f"| {name} | {' | '.join(cells)} |"


def read_all_metrics(folder: Path, names: tuple[str, ...]) -> dict[str, Metrics]:
    """Return the metrics of those names that have any."""
    all_metrics = {}
    for name in names:
        metrics = read_metrics(folder / f"{name}.json")
        if metrics is not None:
            all_metrics[name] = metrics
    return all_metrics


def list_readme_figures() -> Iterator[str]:
    params = read_params(REPO / "params.yaml")
    networks = list(params.cross_validation.models)
    rows = (*networks, AVERAGE, *BASELINES)
    new_subjects = read_all_metrics(REPO / "metrics/cross_validation", rows)
    given_split = read_all_metrics(REPO / "metrics", (*params.models, *GIVEN_SPLIT_BASELINES))
    yield f"an AUC of {format_score(given_split['nearest_neighbour'].auc)} on"
    yield f"to {format_score(new_subjects['nearest_neighbour'].auc)} on"

    differences = read_csv(REPO / paths.NEW_SUBJECT_PAIRS, Difference, least=0)
    headline = describe_headline(networks, new_subjects, differences)
    yield from capture_lines(print_headline, headline)
    yield from capture_lines(print_table, "", new_subjects, choose_new_scores(new_subjects))


def list_leakage_rows(folder: Path) -> Iterator[str]:
    """Yield the table row of each share of test subjects that also trains."""
    for path in folder.glob("*.csv"):
        with path.open() as file:
            accuracies = [float(row["accuracy"]) for row in csv.DictReader(file)]
        mean = sum(accuracies) / len(accuracies)
        yield f"| {mean:.3f} | {min(accuracies):.3f} to {max(accuracies):.3f} |"


def list_evaluation_figures() -> Iterator[str]:
    yield from list_leakage_rows(REPO / "studies/runs/leakage")
    for path in (REAL_SLICES / "cross_validation").glob("*.json"):
        yield format_metric_row(path)


def read_claims(folder: Path) -> list[Claim]:
    claims: list[Claim] = json.loads((folder / "claims.json").read_text())["claims"]
    return claims


def list_study_figures() -> Iterator[str]:
    claims = read_claims(REPO / "studies")
    yield f"{len(claims)} of the notebook's 26 claims"

    texts = [claim["claim"] for claim in claims]
    subjects = dict.fromkeys(re.findall(r"A \w+ (?:learning rate|batch)", "\n".join(texts)))
    for subject in subjects:
        cells = [list_claims_of_verdict(claims, subject, verdict) for verdict in VERDICTS]
        yield f"| a{subject[1:]} | {' | '.join(cells)} |"


def list_claims_of_verdict(claims: list[Claim], subject: str, verdict: str) -> str:
    """Return what the claims of a subject and verdict say, in one cell."""
    texts = []
    for claim in claims:
        if claim["claim"].startswith(subject) and claim["verdict"] == verdict:
            texts.append(claim["claim"].removeprefix(f"{subject} "))
    return "; ".join(texts)


def format_claim_figures(figures: dict[str, Any]) -> str:
    """Return the figures of a claim as the last column of real-slices.md has them."""
    if "fixed" in figures:
        fixed = format_claim_figures(figures["fixed"])
        linear = format_claim_figures(figures["linear"])
        return f"{fixed}; in proportion {linear}"
    if "rho" in figures:
        p = figures["p"]
        p_text = p if isinstance(p, str) else f"{p:.1g}"
        return f"rho {figures['rho']:+.2f}, p {p_text}"
    shares = figures.get("share", figures.get("share_stuck"))
    if shares is None:
        return ""
    values = [value for value, share in shares.items() if share > 0.5]
    return "most seeds at " + (", ".join(values) or "no rate")


def list_real_slice_figures() -> Iterator[str]:
    yield from list_leakage_rows(REAL_SLICES / "leakage")
    for path in REAL_SLICES.glob("*/*.json"):  # new subjects, and the given split
        yield format_metric_row(path)
    for path in REAL_SLICES.glob("half_side/cross_validation/*.json"):
        yield format_choice_row(path)
    yield from list_group_rows(REAL_SLICES / "half_side/groups.csv")
    robustness = REAL_SLICES / "half_side/robustness"
    yield from list_robustness_rows(robustness, ("simple_nn2", "resnet"))

    for sample, real in zip(read_claims(REPO / "studies"), read_claims(REAL_SLICES), strict=True):
        verdicts = f"{sample['claim']} | {sample['verdict']} | {real['verdict']}"
        yield f"| {verdicts} | {format_claim_figures(real['figures'])} |"
        if real["claim"] == "A higher learning rate generalises worse":
            means = [100 * value["mean"] for value in real["figures"]["by_value"].values()]
            yield f"{min(means):.0f} to {max(means):.0f} % at every rate that learns"


def list_benchmark_figures() -> Iterator[str]:
    result = json.loads((REPO / "benchmarks/results/cpu.json").read_text())
    yield "{cpu}, {cores} cores, torch {torch}, commit {commit}:".format(**result["machine"])
    yield "{train} + {test} phantoms".format(**result["rows"])
    for line in capture_lines(show, result):
        cells = re.split(" {2,}", line)
        if len(cells) == 4:
            yield f"| {' | '.join(cells)} |"
    for name, seconds in result["start_up_seconds"].items():
        yield f"| {name} | {seconds:.2f} |"
    for model, step_ms in result["own_network_ms"].items():
        yield f"| {model} | {' | '.join(f'{ms:.0f}' for ms in step_ms.values())} |"
    study_seconds = result["study_value_seconds"]
    yield "{shared:.0f} s together and {one_by_one:.0f} s one by one".format(**study_seconds)


FIGURES = {
    "README": list_readme_figures,
    "docs/benchmarks": list_benchmark_figures,
    "docs/evaluation": list_evaluation_figures,
    "docs/studies": list_study_figures,
    "docs/real-slices": list_real_slice_figures,
}
# docs/parameters.md is written from the schema, and compared with it elsewhere.
PAGES = ["README", *(f"docs/{path.stem}" for path in REPO.glob("docs/*.md"))]
PAGES.remove("docs/parameters")


def remove_figures(page: str, figures: list[str]) -> str:
    """Return a page without figures of result files, and without paragraphs that have no file."""
    for figure in figures:
        page = page.replace(figure, "")
    paragraphs = page.split("\n\n")
    return "\n\n".join(
        text for text in paragraphs if "no result file" not in " ".join(text.split())
    )


@pytest.mark.parametrize("name", FIGURES)
def test_a_page_has_the_figures_of_its_files(name: str) -> None:
    page = (REPO / f"{name}.md").read_text(encoding="utf-8")
    assert [figure for figure in FIGURES[name]() if figure not in page] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_figure_without_a_file(name: str) -> None:
    page = (REPO / f"{name}.md").read_text(encoding="utf-8")
    figures = []
    if name in FIGURES:
        figures = [figure for figure in FIGURES[name]() if figure]
    assert SCORE.findall(remove_figures(page, figures)) == []
