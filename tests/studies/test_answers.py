"""The values of a study are compared by what their seeds can show."""

import math
from collections.abc import Mapping

import pytest
from scipy.stats import ttest_ind

from mri_stages.studies.answers import Comparison, compare_values, describe_comparison
from mri_stages.studies.records import Run, Summary
from mri_stages.studies.summary import group_by_rate, summarise_groups
from tests.helpers.study_runs import make_run

# By learning rate: the accuracy of each seed, and whether the run diverged.
CLOSE = (0.70, 0.72, 0.74)
CLOSER = (0.71, 0.73, 0.75)
LOW = (0.10, 0.12, 0.11)
FOUR_RATES = {1: CLOSE, 2: CLOSER, 3: CLOSE, 4: LOW}


def summarise(
    accuracies: Mapping[float, tuple[float, ...]], diverged: Mapping[float, int] | None = None
) -> list[Summary]:
    """Return the rows of a study; `diverged` is the number of diverged seeds of a rate."""
    runs: list[Run] = []
    for rate, values in accuracies.items():
        for seed, accuracy in enumerate(values):
            is_diverged = seed < (diverged or {}).get(rate, 0)
            measured = math.nan if is_diverged else accuracy
            run = make_run(seed, lr=rate, held_out_accuracy=measured, diverged=is_diverged)
            runs.append(run)
    return summarise_groups("learning_rate", group_by_rate(runs))


def test_comparison_groups_the_values() -> None:
    summaries = summarise(
        {0.001: LOW, 0.01: CLOSE, 0.1: CLOSER, 1: CLOSE, 10: LOW}, diverged={1: 2, 10: 3}
    )
    assert compare_values(summaries) == Comparison(
        values=["0.001", "0.01", "0.1", "1", "10"],
        best="0.1",
        tied=["0.01", "0.1"],
        lower=["0.001"],
        unsteady=["1"],
        diverged=["10"],
    )


@pytest.mark.parametrize(
    "values",
    [
        (0.66, 0.68, 0.70),
        (0.62, 0.64, 0.66),
        (0.60, 0.62, 0.64, 0.66, 0.68, 0.70, 0.72),  # Student's test does not part these
        (0.66, 0.67, 0.68, 0.68, 0.68, 0.69, 0.69, 0.70),  # and parts these
    ],
)
def test_comparison_decides_as_welch_of_the_runs(values: tuple[float, ...]) -> None:
    comparison = compare_values(summarise({0.1: CLOSE, 1: values}))
    is_different = ttest_ind(CLOSE, values, equal_var=False).pvalue < 0.05
    assert comparison.lower == (["1"] if is_different else [])


def test_comparison_is_corrected_for_its_tests() -> None:
    values = tuple(accuracy - 0.05 for accuracy in CLOSE)
    assert compare_values(summarise({0.1: CLOSE, 1: values})).lower == ["1"]
    three_rates = {0.1: CLOSE, 0.2: CLOSE, 1: values}
    assert compare_values(summarise(three_rates)).lower == []
    assert compare_values(summarise(three_rates, diverged={0.2: 1})).lower == ["1"]


@pytest.mark.parametrize(
    ("best", "accuracy", "lower"),
    [((0.75, 0.75), 0.5, ["1"]), ((0.75, 0.75), 0.75, []), (CLOSE, 0.71, [])],
)
def test_comparison_of_constant_accuracies(
    best: tuple[float, ...], accuracy: float, lower: list[str]
) -> None:
    summaries = summarise({0.1: best, 1: (accuracy, accuracy)})
    assert compare_values(summaries).lower == lower


def test_comparison_of_single_seeds_tells_none_apart() -> None:
    assert compare_values(summarise({0.1: (0.9,), 1: (0.1,)})).tied == ["0.1", "1"]


def test_comparison_of_models_keeps_their_names() -> None:
    runs = {"conv_nn2": [make_run()], "simple": [make_run()]}
    assert compare_values(summarise_groups("seed", runs)).values == ["conv_nn2", "simple"]


@pytest.mark.parametrize(
    ("accuracies", "diverged", "text"),
    [
        (
            {1: CLOSE, 2: CLOSER, 3: CLOSE, 4: LOW},
            {4: 3},
            "1 to 3 cannot be told apart; 4 diverges",
        ),
        ({1: CLOSE, 2: LOW, 3: CLOSER}, {}, "1 and 3 cannot be told apart; 2 is lower"),
        ({1: LOW, 2: CLOSE, 3: LOW}, {}, "2 is best; 1 and 3 are lower"),
        ({1: CLOSE, 2: LOW}, {2: 1}, "only 1 does not diverge; with 2 some seeds diverge"),
        ({1: LOW, 2: LOW}, {1: 3, 2: 3}, "1 and 2 diverge"),
    ],
)
def test_description_names_each_group(
    accuracies: Mapping[float, tuple[float, ...]], diverged: Mapping[float, int], text: str
) -> None:
    assert describe_comparison(compare_values(summarise(accuracies, diverged))) == text
