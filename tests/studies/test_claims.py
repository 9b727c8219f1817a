from collections import Counter
from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest

from src.studies.claims import Evidence, Speed, verdicts
from src.studies.runs import Run
from tests.studies.made_up import by_rate, by_size

HOLDS, DOES_NOT, UNDECIDED = "holds", "does not hold", "not decided here"


def judged(
    rates: list[Run] | None = None,
    fixed: list[Run] | None = None,
    linear: list[Run] | None = None,
    speeds: list[Speed] | None = None,
) -> dict[str, dict[str, Any]]:
    runs = {"learning_rate": rates or [], "fixed": fixed or [], "linear": linear or fixed or []}
    return {row["claim"]: row for row in verdicts(Evidence(runs, speeds or []))}


def changed(runs: list[Run], lr: float, seeds: int = 5, **measures: Any) -> list[Run]:
    """Return the runs with other measures in the first `seeds` seeds of a rate."""
    return [
        run.model_copy(update=measures if run.lr == lr and run.seed < seeds else {}) for run in runs
    ]


def test_verdicts_without_evidence_decide_nothing_and_say_what_would() -> None:
    rows = judged()
    assert Counter(row["question"] for row in rows.values()) == {"Q1": 12, "Q2": 14}
    for row in rows.values():
        assert row["verdict"] == UNDECIDED
        assert row["would_decide"]
        assert row["rule"]


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
    ],
)
def test_trend_holds_only_in_its_direction_and_beyond_the_variation_of_seeds(
    claim: str, measure: str, sign: int
) -> None:
    grid, highest = (by_rate, 1) if "rate" in claim.split() else (by_size, 100)

    def verdict(value_of: Callable[[float, int], float]) -> object:
        runs = grid(**{measure: value_of})
        return judged(rates=runs, fixed=runs)[claim]["verdict"]

    assert verdict(lambda x, seed: 5 + sign * x / highest + seed / 1e4) == HOLDS
    assert verdict(lambda x, seed: 5 - sign * x / highest + seed / 1e4) == DOES_NOT
    assert verdict(lambda x, seed: 5 + sign * x / highest / 10 + seed) == DOES_NOT  # p is 0.4
    assert verdict(lambda *_: 5) == DOES_NOT


def test_trend_with_size_holds_only_at_both_rates() -> None:
    along, against = by_size(gap=lambda size, _: size), by_size(gap=lambda size, _: -size)
    for fixed, linear, verdict in ((along, along, HOLDS), (along, against, DOES_NOT),
                                   (against, along, DOES_NOT), (along, along[:5], UNDECIDED)):  # fmt: skip
        row = judged(fixed=fixed, linear=linear)["A larger batch overfits"]
        assert row["verdict"] == verdict
        assert set(row["figures"]) == {"fixed", "linear"}
        assert ("would_decide" in row) == (verdict == UNDECIDED)


def test_with_rate_leaves_out_rates_at_which_one_seed_does_not_learn() -> None:
    def row(runs: list[Run]) -> dict[str, Any]:
        return judged(runs)["A higher learning rate generalises worse"]

    runs = by_rate(held_out_accuracy=lambda lr, seed: 0.9 - lr / 10 + seed / 1e4)
    runs = changed(runs, 0.001, held_out_accuracy=0.2, train_loss=0.5)
    runs = changed(runs, 0.001, seeds=1, train_loss=0.901)  # of a constant answer's loss of 1
    assert row(runs)["verdict"] == HOLDS
    assert list(row(runs)["figures"]["by_value"]) == ["0.01", "0.1", "1"]
    diverged = changed(runs, 0.1, seeds=1, diverged=True)
    assert list(row(diverged)["figures"]["by_value"]) == ["0.01", "1"]
    learns = changed(runs, 0.001, train_loss=0.899)
    assert list(row(learns)["figures"]["by_value"]) == ["0.001", "0.01", "0.1", "1"]


def test_trend_ranks_never_behind_every_number_and_needs_two_values_and_five_points() -> None:
    def row(runs: list[Run]) -> dict[str, Any]:
        return judged(runs)["A lower learning rate needs more iterations"]

    runs = by_rate(steps_to_90=lambda lr, _: inf if lr < 0.1 else 50)
    assert row(runs)["verdict"] == HOLDS
    assert row(runs)["figures"]["by_value"]["0.001"] == {"of": 0, "without": 5}
    assert row(runs)["figures"]["by_value"]["0.1"] == {"mean": 50.0, "sd": 0.0, "of": 5}
    runs = by_rate(steps_to_90=lambda lr, _: 1 / lr)
    four = [run for run in runs if run.seed == 0]
    assert [row(few)["verdict"] for few in (four, runs[:5])] == [UNDECIDED] * 2
    assert row(four + runs[1:2])["verdict"] == HOLDS


@pytest.mark.parametrize(
    ("claim", "event"),
    [
        ("A higher learning rate overshoots", {"overshoots": True}),
        ("A higher learning rate oscillates", {"turns": 2}),
        ("A higher learning rate diverges", {"diverged": True}),
    ],
)
def test_only_above_best_needs_most_seeds_above_the_best_rate_and_at_no_other(
    claim: str, event: dict[str, Any]
) -> None:
    runs = by_rate(
        train_loss=lambda lr, seed: 0.5 if lr != 0.01 else 9.0 if seed == 3 else 0.1,
        turns=lambda *_: 1,
    )

    def verdict(*events: tuple[float, int]) -> object:
        found = runs
        for lr, seeds in events:
            found = changed(found, lr, seeds, **event)
        row = judged(found)[claim]
        assert row["figures"]["best_rate"] == 0.01  # which one seed that got stuck does not move
        return row["verdict"]

    assert verdict((1.0, 3)) == HOLDS
    assert verdict((1.0, 2)) == verdict((0.001, 3)) == verdict((0.001, 3), (1.0, 3)) == DOES_NOT
    highest_is_best = changed(runs, 1.0, train_loss=0.01)
    assert judged(highest_is_best)[claim]["verdict"] == UNDECIDED


def test_below_best_stuck_needs_a_gradient_that_is_gone() -> None:
    claim = "A lower learning rate gets stuck"

    def row(gradient: float, loss: float = 1.3, seeds: int = 3) -> dict[str, Any]:
        runs = by_rate(train_loss=lambda *_: 0.5, gradient_start=lambda *_: 2.0)
        runs = changed(runs, 0.1, train_loss=0.4)
        low = {"train_loss": loss, "gradient_end": gradient}
        return judged(changed(runs, 0.001, seeds, **low))[claim]

    assert row(0.19)["verdict"] == HOLDS
    assert row(0.21)["verdict"] == DOES_NOT  # slow: still on a slope
    assert row(0.19, loss=0.9)["verdict"] == row(0.19, seeds=2)["verdict"] == DOES_NOT
    assert row(0.2, seeds=5)["figures"]["gradient_left"]["0.001"] == 0.1
    only_best = [run for run in by_rate() if run.lr == 1.0]
    assert judged(only_best)[claim]["verdict"] == UNDECIDED


def test_seed_variation_is_the_distance_from_the_median_of_the_rate() -> None:
    def row(runs: list[Run]) -> dict[str, Any]:
        return judged(runs)["A lower learning rate is sensitive to initialisation"]

    wide = by_rate(held_out_accuracy=lambda lr, seed: 0.5 + (seed - 2) * (0.1 - lr / 12))
    equal = by_rate(held_out_accuracy=lambda lr, seed: 0.5 + lr / 10 + (seed - 2) * 0.1)
    one_seed = [run for run in wide if run.seed == 0]
    verdicts = [row(runs)["verdict"] for runs in (wide, equal, one_seed)]
    assert verdicts == [HOLDS, DOES_NOT, UNDECIDED]
    mean = row(wide)["figures"]["by_value"]["1"]["mean"]
    assert mean == pytest.approx(1.2 * (0.1 - 1 / 12), rel=1e-3)
    assert row(one_seed * 2)["figures"]["by_value"]["1"]["of"] == 2


@pytest.mark.parametrize(
    "claim", ["A larger batch has less noisy gradients", "A smaller batch has noisier gradients"]
)
def test_noise_to_signal_is_the_noise_scale_per_row_of_a_batch(claim: str) -> None:
    row = judged(fixed=by_size(noise_scale_end=lambda s, _: nan if s == 10 else 50.0))[claim]
    assert row["verdict"] == HOLDS
    assert row["figures"]["fixed"]["by_value"]["10"] == {"of": 0, "without": 5}
    assert row["figures"]["fixed"]["by_value"]["100"]["mean"] == 0.5
    grows = by_size(noise_scale_end=lambda size, _: 50.0 * size)
    assert judged(fixed=grows)[claim]["verdict"] == DOES_NOT


def speeds(
    speed: Callable[[int], float], peaks: dict[int, list[float]], device: str = "CPU"
) -> list[Speed]:
    return [
        Speed(batch_size=size, images_per_second=speed(size), peak_memory_mb=peak, device=device)
        for size, found in peaks.items()
        for peak in found
    ]


@pytest.mark.parametrize(("device", "on_gpu"), [("CPU", UNDECIDED), ("NVIDIA H100", HOLDS)])
def test_of_speed_is_decided_for_a_gpu_only_on_a_gpu(device: str, on_gpu: str) -> None:
    peaks = {size: [200.0] for size in (1, 2, 4, 8, 16)}
    rows = judged(speeds=speeds(lambda size: 100 * size, peaks, device))
    assert rows["A larger batch trains faster on a GPU"]["verdict"] == on_gpu
    assert rows["A larger batch trains faster on a GPU"]["figures"]["device"] == device
    slower = judged(speeds=speeds(lambda size: 10 / size, peaks, device))
    for claim in ("A larger batch vectorises better", "A smaller batch uses the hardware worse"):
        assert (rows[claim]["verdict"], slower[claim]["verdict"]) == (HOLDS, DOES_NOT)


@pytest.mark.parametrize(
    "claim", ["A larger batch needs more memory", "A smaller batch saves memory"]
)
def test_of_memory_compares_the_smallest_size_with_the_largest(claim: str) -> None:
    for peaks, verdict in (
        ({1: [20.0, 25.0], 5: [21.0, 30.0], 100: [40.0, 26.0]}, HOLDS),
        ({1: [20.0, 25.0], 5: [21.0, 30.0], 100: [40.0, 25.0]}, DOES_NOT),
        ({1: [20.0]}, UNDECIDED),
    ):
        assert judged(speeds=speeds(float, peaks))[claim]["verdict"] == verdict
