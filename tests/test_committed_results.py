"""The results in Git, made by `make run`, answer the notebook's questions as README says."""

import csv
import json
from pathlib import Path

import pytest


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
