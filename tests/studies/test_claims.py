from collections import Counter
from math import inf, nan
from typing import Any

import pytest

from src.studies.claims import Evidence, Speed, verdicts
from src.studies.runs import Run
from tests.studies.made_up import by_rate, by_size

SIZES = (1, 2, 4, 8, 16)


def speed(batch_size: int, **measures: Any) -> Speed:
    values = {"batch_size": batch_size, "images_per_second": 100.0 * batch_size,
              "peak_memory_mb": 200.0 + batch_size, "device": "CPU"}  # fmt: skip
    return Speed.model_validate(values | measures)


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
        assert row["verdict"] == "not decided here"
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
    ],
)
def test_with_rate_holds_only_for_a_trend_in_its_direction(
    claim: str, measure: str, sign: int
) -> None:
    along = by_rate(**{measure: lambda lr, seed: 5 + sign * lr + seed / 1e4})
    against = by_rate(**{measure: lambda lr, seed: 5 - sign * lr + seed / 1e4})
    weak = by_rate(**{measure: lambda lr, seed: 5 + seed + sign * lr / 10})  # p is 0.4
    constant = by_rate(**{measure: lambda *_: 5})
    for runs, verdict in ((along, "holds"), (against, "does not hold"),
                          (weak, "does not hold"), (constant, "does not hold")):  # fmt: skip
        row = judged(runs)[claim]
        assert row["verdict"] == verdict
        assert "would_decide" not in row


def test_with_rate_leaves_out_rates_at_which_one_seed_does_not_learn() -> None:
    claim = "A higher learning rate generalises worse"
    runs = by_rate(held_out_accuracy=lambda lr, seed: 0.9 - lr / 10 + seed / 1e4)
    runs = changed(runs, 0.001, held_out_accuracy=0.2, train_loss=0.5)
    runs = changed(runs, 0.001, seeds=1, train_loss=0.901)  # of a constant answer's loss of 1
    row = judged(runs)[claim]
    assert row["verdict"] == "holds"
    assert list(row["figures"]["by_value"]) == ["0.01", "0.1", "1"]
    row = judged(changed(runs, 0.1, seeds=1, diverged=True))[claim]
    assert list(row["figures"]["by_value"]) == ["0.01", "1"]
    row = judged(changed(runs, 0.001, train_loss=0.899))[claim]
    assert list(row["figures"]["by_value"]) == ["0.001", "0.01", "0.1", "1"]


def test_with_rate_ranks_never_behind_every_number() -> None:
    row = judged(by_rate(steps_to_90=lambda lr, _: inf if lr < 0.1 else 50))[
        "A lower learning rate needs more iterations"
    ]
    assert row["verdict"] == "holds"
    assert row["figures"]["by_value"]["0.001"] == {"of": 0, "without": 5}
    assert row["figures"]["by_value"]["0.1"] == {"mean": 50.0, "sd": 0.0, "of": 5}


def test_trend_with_four_points_or_one_value_is_undecided() -> None:
    claim = "A higher learning rate converges faster"
    runs = by_rate(epochs_to_90=lambda lr, _: 1 / lr)
    for few in ([run for run in runs if run.seed == 0], runs[:5]):
        assert judged(few)[claim]["verdict"] == "not decided here"
    five = [run for run in runs if run.seed == 0] + runs[1:2]
    assert judged(five)[claim]["verdict"] == "holds"


EVENTS: dict[str, dict[str, Any]] = {
    "A higher learning rate overshoots": {"overshoots": True},
    "A higher learning rate oscillates": {"turns": 2},
    "A higher learning rate diverges": {"diverged": True},
}


@pytest.mark.parametrize("claim", EVENTS)
def test_only_above_best_needs_most_seeds_above_the_best_rate_and_at_no_other(claim: str) -> None:
    runs = by_rate(
        train_loss=lambda lr, seed: 0.5 if lr != 0.01 else 9.0 if seed == 3 else 0.1,
        turns=lambda *_: 1,
    )

    def verdict(*events: tuple[float, int]) -> str:
        found = runs
        for lr, seeds in events:
            found = changed(found, lr, seeds, **EVENTS[claim])
        row = judged(found)[claim]
        assert row["figures"]["best_rate"] == 0.01  # which one seed that got stuck does not move
        return str(row["verdict"])

    assert verdict((1.0, 3)) == "holds"
    assert verdict((1.0, 2)) == "does not hold"
    assert verdict((0.001, 3)) == "does not hold"
    assert verdict((0.001, 3), (1.0, 3)) == "does not hold"
    highest = changed(runs, 1.0, train_loss=0.01)
    assert judged(highest)[claim]["verdict"] == "not decided here"


def test_below_best_stuck_needs_a_gradient_that_is_gone() -> None:
    claim = "A lower learning rate gets stuck"

    def row(gradient: float, loss: float = 1.3, seeds: int = 3) -> dict[str, Any]:
        runs = by_rate(train_loss=lambda *_: 0.5, gradient_start=lambda *_: 2.0)
        runs = changed(runs, 0.1, train_loss=0.4)
        low = {"train_loss": loss, "gradient_end": gradient}
        return judged(changed(runs, 0.001, seeds, **low))[claim]

    assert row(0.19)["verdict"] == "holds"
    assert row(0.21)["verdict"] == "does not hold"  # slow: still on a slope
    assert row(0.19, loss=0.9)["verdict"] == "does not hold"
    assert row(0.19, seeds=2)["verdict"] == "does not hold"
    assert row(0.2, seeds=5)["figures"]["gradient_left"]["0.001"] == 0.1
    only_best = [run for run in by_rate() if run.lr == 1.0]
    assert judged(only_best)[claim]["verdict"] == "not decided here"


def test_seed_variation_is_the_distance_from_the_median_of_the_rate() -> None:
    claim = "A lower learning rate is sensitive to initialisation"
    wide = by_rate(held_out_accuracy=lambda lr, seed: 0.5 + (seed - 2) * (0.1 - lr / 12))
    equal = by_rate(held_out_accuracy=lambda lr, seed: 0.5 + lr / 10 + (seed - 2) * 0.1)
    row = judged(wide)[claim]
    assert row["verdict"] == "holds"
    assert row["figures"]["by_value"]["1"]["mean"] == pytest.approx(1.2 * (0.1 - 1 / 12), rel=1e-3)
    assert judged(equal)[claim]["verdict"] == "does not hold"
    one_seed = [run for run in wide if run.seed == 0]
    assert judged(one_seed * 2)[claim]["figures"]["by_value"]["1"]["of"] == 2
    assert judged(one_seed)[claim]["verdict"] == "not decided here"


@pytest.mark.parametrize(
    ("claim", "measure", "sign"),
    [
        ("A larger batch overfits", "gap", 1),
        ("A larger batch generalises worse", "held_out_accuracy", -1),
        ("A smaller batch generalises better", "held_out_accuracy", -1),
        ("A larger batch ends in sharp minima", "sharpness", 1),
        ("A smaller batch explores more", "distance", -1),
        ("A smaller batch converges more slowly", "epochs_to_90", -1),
        ("A smaller batch needs more steps", "steps_to_90", -1),
    ],
)
def test_with_size_holds_only_for_a_trend_at_both_rates(
    claim: str, measure: str, sign: int
) -> None:
    along = by_size(**{measure: lambda size, seed: 5 + sign * size / 100 + seed / 1e4})
    against = by_size(**{measure: lambda size, seed: 5 - sign * size / 100 + seed / 1e4})
    for fixed, linear, verdict in ((along, along, "holds"), (along, against, "does not hold"),
                                   (along, along[:5], "not decided here")):  # fmt: skip
        row = judged(fixed=fixed, linear=linear)[claim]
        assert row["verdict"] == verdict
        assert set(row["figures"]) == {"fixed", "linear"}


def test_noise_to_signal_is_the_noise_scale_per_row_of_a_batch() -> None:
    for claim in ("A larger batch has less noisy gradients",
                  "A smaller batch has noisier gradients"):  # fmt: skip
        same = by_size(noise_scale_end=lambda size, _: nan if size == 10 else 50.0)
        row = judged(fixed=same)[claim]
        assert row["verdict"] == "holds"
        assert row["figures"]["fixed"]["by_value"]["10"] == {"of": 0, "without": 5}
        assert row["figures"]["fixed"]["by_value"]["100"]["mean"] == 0.5
        grows = by_size(noise_scale_end=lambda size, _: 50.0 * size)
        assert judged(fixed=grows)[claim]["verdict"] == "does not hold"


def test_of_speed_is_decided_for_a_gpu_only_on_a_gpu() -> None:
    claim, on_gpu = "A larger batch vectorises better", "A larger batch trains faster on a GPU"
    cpu = judged(speeds=[speed(size) for size in SIZES])
    assert (cpu[claim]["verdict"], cpu[on_gpu]["verdict"]) == ("holds", "not decided here")
    gpu = judged(speeds=[speed(size, device="NVIDIA H100") for size in SIZES])
    assert (gpu[on_gpu]["verdict"], gpu[on_gpu]["figures"]["device"]) == ("holds", "NVIDIA H100")
    slower = judged(speeds=[speed(size, images_per_second=10 / size) for size in SIZES])
    assert slower[claim]["verdict"] == "does not hold"


@pytest.mark.parametrize(
    ("largest", "verdict"), [([26.0], "holds"), ([25.0], "does not hold"), ([], "not decided here")]
)
def test_of_memory_compares_the_smallest_size_with_the_largest(
    largest: list[float], verdict: str
) -> None:
    peaks = {1: [20.0, 25.0], 5: [21.0, 30.0], 100: [40.0, *largest]} if largest else {1: [20.0]}
    speeds = [speed(size, peak_memory_mb=mb) for size, found in peaks.items() for mb in found]
    rows = judged(speeds=speeds)
    for claim in ("A larger batch needs more memory", "A smaller batch saves memory"):
        assert rows[claim]["verdict"] == verdict
