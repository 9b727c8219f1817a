"""The first sentence of the results. Tests look for names and numbers in it, not for its words."""

import re
from typing import Any

from mri_stages.reporting.headline import Headline, describe_headline, find_best
from mri_stages.storage.records import Difference, Metrics

SCORES = {"accuracy": 0.5, "ci_low": 0.4, "ci_high": 0.6, "balanced_accuracy": 0.5, "macro_f1": 0.5}


def make_metrics(auc: float | None, **changes: Any) -> Metrics:
    figures = {**SCORES, "auc": auc, "by": "subject", **changes}
    if auc is not None:
        figures |= {"auc_low": auc - 0.1, "auc_high": auc + 0.1}
    return Metrics.model_validate(figures)


METRICS = {
    "small": make_metrics(0.75, diverged=False),
    "deep": make_metrics(0.875, diverged=False),
    "majority": make_metrics(0.5),
    "linear": make_metrics(0.625),
    "nearest_neighbour": make_metrics(0.5625),
}


def make_difference(first: str, difference: float, p: float, second: str = "linear") -> Difference:
    return Difference(first, second, difference, difference - 0.1, difference + 0.1, p, 60)


def describe(
    differences: list[Difference],
    metrics: dict[str, Metrics] = METRICS,
    models: tuple[str, ...] = ("small", "deep"),
) -> Headline:
    return describe_headline(models, metrics, differences)


def list_words(text: str) -> list[str]:
    """Return the names of models and the figures of a text, in order."""
    return re.findall(r"small|deep|linear|majority|nearest_neighbour|-?\d\.\d+", text)


def test_sentence_names_a_network_that_is_better() -> None:
    rows = [make_difference("small", 0.125, 0.2), make_difference("deep", 0.25, 0.01)]
    sentence = describe(rows).sentence
    assert list_words(sentence) == ["deep", "linear", "0.250", "0.150", "0.350", "0.010"]


def test_sentence_shows_the_lowest_p_as_a_bound() -> None:
    row = make_difference("deep", 0.25, 0.002)._replace(p_is_floor=True)
    assert "p <= 0.002" in describe([row]).sentence


def test_sentence_on_no_better_network_has_the_best_one() -> None:
    rows = [make_difference("small", 0.125, 0.2), make_difference("deep", 0.25, 0.06)]
    sentence = describe(rows).sentence
    assert sentence.startswith("No network")
    assert list_words(sentence) == ["linear", "deep", "0.250", "0.150", "0.350", "0.060"]


def test_sentence_on_a_worse_network_does_not_call_it_better() -> None:
    rows = [make_difference("small", -0.25, 0.01), make_difference("deep", -0.125, 0.01)]
    sentence = describe(rows).sentence
    assert sentence.startswith("No network")
    assert "-0.125" in list_words(sentence)


def test_sentence_names_all_networks_that_are_better() -> None:
    rows = [make_difference("small", 0.125, 0.02), make_difference("deep", 0.25, 0.01)]
    names = list_words(describe(rows).sentence)
    assert names[:3] == ["small", "deep", "linear"]
    assert "0.250" in names  # of the one with the highest AUC
    assert "0.125" not in names


def test_sentence_is_about_the_best_baseline() -> None:
    rows = [
        make_difference("deep", 0.375, 0.001, "majority"),
        make_difference("deep", 0.25, 0.3, "linear"),
    ]
    assert describe(rows).sentence.startswith("No network")


def test_diverged_network_is_never_the_best() -> None:
    metrics = METRICS | {"deep": make_metrics(0.9, diverged=True)}
    assert find_best(["small", "deep"], metrics) == "small"


def test_headline_names_a_diverged_network() -> None:
    metrics = METRICS | {"deep": make_metrics(None, diverged=True)}
    headline = describe([make_difference("small", 0.1, 0.5)], metrics)
    assert "deep" in list_words(" ".join(headline.notes))
    assert "deep" not in list_words(headline.sentence)


def test_headline_names_a_network_without_result() -> None:
    metrics = {name: METRICS[name] for name in METRICS if name != "deep"}
    headline = describe([make_difference("small", 0.1, 0.5)], metrics)
    assert "deep" in list_words(" ".join(headline.notes))


def test_figures_are_aucs_with_intervals() -> None:
    figures = list_words(describe([make_difference("deep", 0.25, 0.06)]).figures)
    assert figures[:4] == ["0.875", "0.775", "0.975", "deep"]
    assert figures[4:] == ["0.625", "0.525", "0.725", "linear"]


def test_sentence_without_folds_has_no_figure() -> None:
    headline = describe([], {})
    assert headline.figures == ""
    assert headline.sentence
    assert list_words(headline.sentence) == []


def test_sentence_without_a_network_has_no_difference() -> None:
    metrics = {name: METRICS[name] for name in ("majority", "linear")}
    headline = describe([], metrics, models=())
    assert list_words(headline.sentence) == []
    assert "linear" in headline.figures


def test_sentence_without_an_auc_of_a_network_has_no_difference() -> None:
    metrics = METRICS | {"small": make_metrics(None), "deep": make_metrics(None)}
    headline = describe([], metrics)
    assert list_words(headline.sentence) == []
    assert list_words(" ".join(headline.notes))[:2] == ["small", "deep"]


def test_sentence_without_an_auc_of_a_baseline_has_no_difference() -> None:
    metrics = {name: make_metrics(None) for name in ("majority", "linear")}
    sentence = describe([], {"small": METRICS["small"]} | metrics, models=("small",)).sentence
    assert list_words(sentence) == []
    assert "No baseline" in sentence


def test_sentence_without_ids_claims_nothing_of_subjects() -> None:
    metrics = {name: METRICS[name].model_copy(update={"by": "row"}) for name in METRICS}
    sentence = describe([make_difference("deep", 0.25, 0.01)], metrics).sentence
    assert sentence.startswith("Subject ids are unknown")
    assert "new rows" in sentence


def test_sentence_without_spread_has_no_p() -> None:
    row = Difference("deep", "linear", 0.0, None, None, 1.0, 60)
    assert list_words(describe([row]).sentence) == ["linear", "deep", "0.000"]


def test_note_on_one_network_counts_the_baselines_only() -> None:
    metrics = {name: METRICS[name] for name in METRICS if name != "small"}
    notes = " ".join(describe([make_difference("deep", 0.25, 0.06)], metrics, ("deep",)).notes)
    assert "3 baselines" in notes
    assert "network" not in notes


def test_note_on_one_baseline_counts_the_networks_only() -> None:
    metrics = {name: METRICS[name] for name in ("small", "deep", "linear")}
    notes = " ".join(describe([make_difference("deep", 0.25, 0.06)], metrics).notes)
    assert "2 networks" in notes
    assert "baseline" not in notes


def test_note_on_one_repeat_names_the_param() -> None:
    notes = " ".join(describe([make_difference("deep", 0.25, 0.06)]).notes)
    assert "cross_validation.repeats" in notes


def test_note_on_repeats_counts_them() -> None:
    metrics = {name: METRICS[name].model_copy(update={"repeats": 3}) for name in METRICS}
    notes = " ".join(describe([make_difference("deep", 0.25, 0.06)], metrics).notes)
    assert "3 repeats" in notes
    assert "cross_validation.repeats" not in notes
