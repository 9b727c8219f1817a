"""The results in Git, made by `make run`, answer the notebook's questions as README says."""

import csv
import json
from pathlib import Path

import pytest

from scripts.results import print_table
from src.evaluation.metrics import read_metrics
from src.params import BASELINES, read_params


def history(repo: Path, name: str) -> list[float]:
    with (repo / "plots/history.csv").open() as file:
        return [float(r["train_loss"]) for r in csv.DictReader(file) if r["model"] == name]


def test_a_learning_rate_of_001_learns_1e_8_stands_still_and_10_diverges(repo: Path) -> None:
    metrics = {p.stem: json.loads(p.read_text()) for p in (repo / "metrics").glob("*_nn?.json")}
    assert len(metrics) == 6
    with (repo / "plots/confusion/conv_nn2.csv").open() as file:
        actual = [row["actual"] for row in csv.DictReader(file)]
    majority = max(actual.count(name) for name in actual) / len(actual)
    assert metrics["conv_nn2"]["ci_low"] > majority
    first, *_, last = history(repo, "conv_nn3")
    assert last == pytest.approx(first, abs=1e-3)
    assert metrics["conv_nn3"]["diverged"] is False
    assert metrics["conv_nn4"]["diverged"] is True
    assert [name for name, m in metrics.items() if m["diverged"]] == ["conv_nn4"]


def test_the_page_on_real_slices_says_what_the_claims_say(repo: Path) -> None:
    page = (repo / "docs/real-slices.md").read_text()
    sample, real = (
        json.loads((repo / folder / "claims.json").read_text())["claims"]
        for folder in ("studies", "docs/real-slices")
    )
    for of_sample, of_real in zip(sample, real, strict=True):
        row = (of_sample["claim"], of_sample["verdict"], of_real["verdict"])
        assert "| {} | {} | {} |".format(*row) in page


def test_the_tables_in_readme_are_those_of_the_committed_metrics(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = read_params(repo / "params.yaml")
    for folder, names in (
        ("metrics/cross_validation", (*params.cross_validation.models, *BASELINES)),
        ("metrics", (*params.models, *BASELINES[:2])),
    ):
        found = {name: read_metrics(repo / folder / f"{name}.json") for name in names}
        print_table("", {name: metrics for name, metrics in found.items() if metrics})
    rows = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(rows) == 2 + len(params.cross_validation.models) + len(params.models) + 5
    readme = (repo / "README.md").read_text()
    assert [row for row in rows if row not in readme] == []


def test_the_dose_of_leakage_in_the_docs_is_that_of_the_committed_runs(repo: Path) -> None:
    page = (repo / "docs/evaluation.md").read_text()
    shares = read_params(repo / "params.yaml").studies.leakage.shares
    for value in (*shares, "permuted"):
        with (repo / f"studies/runs/leakage/{value}.csv").open() as file:
            accuracies = [float(row["accuracy"]) for row in csv.DictReader(file)]
        low, high = min(accuracies), max(accuracies)
        mean = sum(accuracies) / len(accuracies)
        assert f"| {mean:.3f} | {low:.3f} to {high:.3f} |" in page


def test_the_figures_of_new_subjects_on_real_slices_are_those_of_the_result_files(
    repo: Path,
) -> None:
    pages = [(repo / f"docs/{name}.md").read_text() for name in ("real-slices", "evaluation")]
    for name in (*BASELINES, "simple_nn2", "resnet"):
        m = read_metrics(repo / f"docs/real-slices/cross_validation/{name}.json")
        assert m
        accuracy, auc = f"{m.accuracy:.3f} ({m.ci_low:.3f} to {m.ci_high:.3f})", f"{m.auc:.3f} ("
        assert all(f"| {name} | {accuracy} | {m.balanced_accuracy:.3f} | {auc}" in p for p in pages)
