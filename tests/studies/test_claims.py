from collections import Counter
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import pytest
from tests.helpers.study_runs import by_rate, by_size

from mri_stages.studies.claims import Claim, verdicts
from mri_stages.studies.measure import Run

HOLDS, DOES_NOT, UNDECIDED = "holds", "does not hold", "not decided here"


def rows(
    rates: Sequence[Run] = (),
    fixed: Sequence[Run] = (),
    linear: Sequence[Run] = (),
) -> dict[str, Claim]:
    studies = {"learning_rate": rates, "fixed": fixed, "linear": linear or fixed}
    return {row.claim: row for row in verdicts(studies)}


def changed(runs: list[Run], lr: float, seeds: int = 5, **measures: Any) -> list[Run]:
    """Return the runs with other measures in the first `seeds` seeds of a rate."""
    return [
        run.model_copy(update=measures if run.lr == lr and run.seed < seeds else {}) for run in runs
    ]


def test_verdicts_without_evidence_decide_nothing_and_say_what_would() -> None:
    found = rows().values()
    assert Counter(row.question for row in found) == {"Q1": 12, "Q2": 9}
    assert all(row.verdict == UNDECIDED and row.would_decide and row.rule for row in found)


@pytest.mark.parametrize(
    ("claim", "measure", "sign"),
    [
        ("A higher learning rate converges faster", "epochs_to_90", -1),
        ("A higher learning rate generalises worse", "held_out_accuracy", -1),
        ("A lower learning rate generalises better", "held_out_accuracy", -1),
        ("A lower learning rate is stable and steady", "largest_rise", 1),
        ("A lower learning rate needs more iterations", "steps_to_90", -1),
        ("A larger batch overfits", "gap", 1),
        ("A larger batch generalises worse", "held_out_accuracy", -1),
        ("A smaller batch generalises better", "held_out_accuracy", -1),
        ("A larger batch ends in sharp minima", "sharpness", 1),
        ("A smaller batch explores more", "distance", -1),
        ("A smaller batch converges more slowly", "epochs_to_90", -1),
        ("A smaller batch needs more steps", "steps_to_90", -1),
        ("A larger batch has less noisy gradients", "noise_scale_end", -1),  # per row of a batch
        ("A smaller batch has noisier gradients", "noise_scale_end", -1),
    ],
)
def test_trend_holds_in_its_direction_beyond_seeds(claim: str, measure: str, sign: int) -> None:
    grid, highest = (by_rate, 1) if "rate" in claim.split() else (by_size, 100)

    def verdict(value_of: Callable[[float, int], float]) -> str:
        power = measure == "noise_scale_end"
        runs = grid(**{measure: lambda x, seed: value_of(x, seed) * x**power})
        return rows(rates=runs, fixed=runs)[claim].verdict

    assert verdict(lambda x, seed: 5 + sign * x / highest + seed / 1e4) == HOLDS
    assert verdict(lambda x, seed: 5 - sign * x / highest + seed / 1e4) == DOES_NOT
    assert verdict(lambda x, seed: 5 + sign * x / highest / 10 + seed) == DOES_NOT  # p is 0.4
    assert verdict(lambda *_: 5) == DOES_NOT


def test_trend_with_size_holds_only_at_both_rates() -> None:
    up, down = by_size(gap=lambda size, _: size), by_size(gap=lambda size, _: -size)
    cases = ((up, up, HOLDS), (up, down, DOES_NOT), (down, up, DOES_NOT), (up, up[:5], UNDECIDED))
    for fixed, linear, verdict in cases:
        row = rows(fixed=fixed, linear=linear)["A larger batch overfits"]
        assert (row.verdict, set(row.figures)) == (verdict, {"fixed", "linear"})
        assert (row.would_decide is not None) == (verdict == UNDECIDED)


def test_with_rate_leaves_out_rates_at_which_one_seed_does_not_learn() -> None:
    claim = "A higher learning rate generalises worse"
    runs = by_rate(held_out_accuracy=lambda lr, seed: 0.9 - lr / 10 + seed / 1e4)
    runs = changed(runs, 0.001, held_out_accuracy=0.2, train_loss=0.5)
    runs = changed(runs, 0.001, seeds=1, train_loss=0.901)  # of a constant answer's loss of 1
    assert rows(runs)[claim].verdict == HOLDS
    assert list(rows(runs)[claim].figures["by_value"]) == ["0.01", "0.1", "1"]
    diverged = changed(runs, 0.1, seeds=1, diverged=True)
    assert list(rows(diverged)[claim].figures["by_value"]) == ["0.01", "1"]
    learns = changed(runs, 0.001, train_loss=0.899)
    assert list(rows(learns)[claim].figures["by_value"]) == ["0.001", "0.01", "0.1", "1"]


def test_trend_ranks_never_behind_every_number_and_needs_two_values_and_five_points() -> None:
    claim = "A lower learning rate needs more iterations"
    row = rows(by_rate(steps_to_90=lambda lr, _: inf if lr < 0.1 else 50))[claim]
    assert row.verdict == HOLDS
    assert row.figures["by_value"]["0.001"] == {"of": 0, "without": 5}
    assert row.figures["by_value"]["0.1"] == {"mean": 50.0, "sd": 0.0, "of": 5}
    runs = by_rate(steps_to_90=lambda lr, _: 1 / lr)
    four = [run for run in runs if run.seed == 0]
    found = [rows(some)[claim].verdict for some in (four, runs[:5], four + runs[1:2])]
    assert found == [UNDECIDED, UNDECIDED, HOLDS]


@pytest.mark.parametrize(
    ("claim", "event"),
    [
        ("A higher learning rate overshoots", {"overshoots": True}),
        ("A higher learning rate oscillates", {"turns": 2}),
        ("A higher learning rate diverges", {"diverged": True}),
    ],
)
def test_only_above_best_needs_most_seeds_there(claim: str, event: dict[str, Any]) -> None:
    runs = by_rate(
        train_loss=lambda lr, seed: 0.5 if lr != 0.01 else 9.0 if seed == 3 else 0.1,
        turns=lambda *_: 1,
    )
    for low, high, verdict in ((0, 3, HOLDS), (0, 2, DOES_NOT), (3, 0, DOES_NOT), (3, 3, DOES_NOT)):
        row = rows(changed(changed(runs, 0.001, low, **event), 1.0, high, **event))[claim]
        assert row.verdict == verdict
        assert row.figures["best_rate"] == 0.01  # which one seed that got stuck does not move
    assert rows(changed(runs, 1.0, train_loss=0.01))[claim].verdict == UNDECIDED


def test_below_best_stuck_needs_a_gradient_that_is_gone() -> None:
    claim = "A lower learning rate gets stuck"
    runs = by_rate(train_loss=lambda *_: 0.5, gradient_start=lambda *_: 2.0)
    runs = changed(runs, 0.1, train_loss=0.4)
    for gradient, loss, seeds, verdict in (
        (0.19, 1.3, 3, HOLDS),
        (0.21, 1.3, 3, DOES_NOT),  # slow: still on a slope
        (0.19, 0.9, 3, DOES_NOT),
        (0.19, 1.3, 2, DOES_NOT),
    ):
        low = changed(runs, 0.001, seeds, train_loss=loss, gradient_end=gradient)
        assert rows(low)[claim].verdict == verdict
    flat = changed(runs, 0.001, 3, train_loss=1.3, gradient_end=0, gradient_start=0)  # throughout
    assert rows(flat)[claim].verdict == DOES_NOT
    left = rows(changed(runs, 0.001, gradient_end=0.2))[claim].figures["gradient_left"]
    assert left["0.001"] == 0.1
    assert rows(runs[-5:])[claim].verdict == UNDECIDED  # the best rate alone


def test_seed_variation_is_the_distance_from_the_median_of_the_rate() -> None:
    claim = "A lower learning rate is sensitive to initialisation"
    wide = by_rate(held_out_accuracy=lambda lr, seed: 0.5 + (seed - 2) * (0.1 - lr / 12))
    equal = by_rate(held_out_accuracy=lambda lr, seed: 0.5 + lr / 10 + (seed - 2) * 0.1)
    one_seed = [run for run in wide if run.seed == 0]
    found = [rows(runs)[claim].verdict for runs in (wide, equal, one_seed)]
    assert found == [HOLDS, DOES_NOT, UNDECIDED]
    mean = rows(wide)[claim].figures["by_value"]["1"]["mean"]
    assert mean == pytest.approx(1.2 * (0.1 - 1 / 12), rel=1e-3)
