"""The results in Git answer the notebook's question 1; README and docs have their figures."""

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from benchmarks.cpu import show
from tests.conftest import REPO

from mri_stages.commands.results import number, print_table
from mri_stages.config.loading import read_params
from mri_stages.config.schema import BASELINES
from mri_stages.storage.records import read_metrics


def test_a_learning_rate_of_001_learns_1e_8_stands_still_and_10_diverges(repo: Path) -> None:
    models = {p.stem: json.loads(p.read_text()) for p in repo.glob("metrics/*_nn?.json")}
    majority = json.loads((repo / "metrics/majority.json").read_text())
    assert models["conv_nn2"]["ci_low"] > majority["accuracy"]
    with (repo / "plots/history.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "conv_nn3"]
    first, *_, last = (float(row["train_loss"]) for row in rows)
    assert last == pytest.approx(first, abs=1e-3)
    assert len(models) == 6
    assert [name for name, m in models.items() if m["diverged"]] == ["conv_nn4"]


def metric_row(path: Path) -> str:
    m = read_metrics(path)
    if m is None:  # a baseline that the data do not allow
        return ""
    accuracy, auc = number(m.accuracy, m.ci_low, m.ci_high), number(m.auc, m.auc_low, m.auc_high)
    return f"| {path.stem} | {accuracy} | {number(m.balanced_accuracy)} | {auc} |"


def readme(repo: Path) -> Iterator[str]:
    params = read_params(repo / "params.yaml")
    said = io.StringIO()
    for folder, names, word in (
        ("metrics/cross_validation", (*params.cross_validation.models, *BASELINES), "to"),
        ("metrics", (*params.models, *BASELINES[:2]), "from"),
    ):
        found = {name: read_metrics(repo / folder / f"{name}.json") for name in names}
        with redirect_stdout(said):
            print_table("", {name: metrics for name, metrics in found.items() if metrics})
        if (network := found["simple_nn2"]) and (nearest := found["nearest_neighbour"]):
            yield f"of {100 * network.accuracy:.0f} % on "
            yield f"{word} {100 * nearest.accuracy:.0f} %"
    yield from said.getvalue().splitlines()


def doses(folder: Path) -> Iterator[str]:
    for path in folder.glob("*.csv"):
        with path.open() as file:
            found = [float(row["accuracy"]) for row in csv.DictReader(file)]
        yield f"| {sum(found) / len(found):.3f} | {min(found):.3f} to {max(found):.3f} |"


def evaluation(repo: Path) -> Iterator[str]:
    yield from doses(repo / "studies/runs/leakage")
    yield from map(metric_row, (repo / "docs/real-slices/cross_validation").glob("*.json"))


def claims(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "claims.json").read_text())["claims"]
    return found


def studies(repo: Path) -> Iterator[str]:
    found = claims(repo / "studies")
    yield f"{len(found)} of the notebook's 26 claims"
    for subject in dict.fromkeys(re.findall(r"A \w+ (?:learning rate|batch)", str(found))):
        cells = [
            "; ".join(
                claim["claim"].removeprefix(f"{subject} ")
                for claim in found
                if claim["claim"].startswith(subject) and claim["verdict"] == verdict
            )
            for verdict in ("holds", "does not hold", "not decided here")
        ]
        yield f"| a{subject[1:]} | {' | '.join(cells)} |"


def in_words(figures: dict[str, Any]) -> str:
    """Return the figures of a claim as the last column of real-slices.md has them."""
    if "fixed" in figures:
        return f"{in_words(figures['fixed'])}; in proportion {in_words(figures['linear'])}"
    if "rho" in figures:
        p = figures["p"]
        return f"rho {figures['rho']:+.2f}, p {p if isinstance(p, str) else f'{p:.1g}'}"
    shares = figures.get("share", figures.get("share_stuck"))
    if shares is None:
        return ""
    return "most seeds at " + (", ".join(v for v, s in shares.items() if s > 0.5) or "no rate")


def real_slices(repo: Path) -> Iterator[str]:
    folder = repo / "docs/real-slices"
    yield from doses(folder / "leakage")
    yield from map(metric_row, folder.glob("*/*.json"))  # new subjects, and the given split
    for sample, real in zip(claims(repo / "studies"), claims(folder), strict=True):
        verdicts = (sample["claim"], sample["verdict"], real["verdict"])
        yield f"| {' | '.join(verdicts)} | {in_words(real['figures'])} |"
        if real["claim"] == "A higher learning rate generalises worse":
            means = [100 * value["mean"] for value in real["figures"]["by_value"].values()]
            yield f"{min(means):.0f} to {max(means):.0f} % at every rate that learns"


def benchmarks(repo: Path) -> Iterator[str]:
    result = json.loads((repo / "benchmarks/results/cpu.json").read_text())
    yield "{cpu}, {cores} cores, torch {torch}, commit {commit}:".format(**result["machine"])
    yield "{train} + {test} phantoms".format(**result["rows"])
    said = io.StringIO()
    with redirect_stdout(said):
        show(result)
    for line in said.getvalue().splitlines():
        if len(cells := re.split(" {2,}", line)) == 4:
            yield f"| {' | '.join(cells)} |"


FIGURES = {
    "README": readme,
    **{f"docs/{f.__name__}": f for f in (benchmarks, evaluation, studies)},
    "docs/real-slices": real_slices,
}
# Scores, p values and decimals in tables, of which none may be in a page alone.
SCORE = re.compile(r"\b0\.[1-9]\d\d\b|\bp = [\d.]+|\| \d+\.\d")


@pytest.mark.parametrize("name", ["README", *(f"docs/{p.stem}" for p in REPO.glob("docs/*.md"))])
def test_the_figures_in_a_page_are_those_of_the_result_files(repo: Path, name: str) -> None:
    page = (repo / f"{name}.md").read_text()
    found = [*FIGURES[name](repo)] if name in FIGURES else []
    assert [text for text in found if text not in page] == []
    for text in filter(None, found):
        page = page.replace(text, "")
    rest = [part for part in page.split("\n\n") if "no result file" not in " ".join(part.split())]
    assert SCORE.findall("\n\n".join(rest)) == []
