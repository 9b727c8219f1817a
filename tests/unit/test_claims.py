"""The rules on made-up figures whose verdict is plain to see."""

from collections import Counter
from typing import Any

import pytest

from src.claims import CLAIMS, Evidence, verdicts
from src.study_cells import Cells

SEEDS = range(5)


def cell(seed: int = 0, **measures: Any) -> dict[str, Any]:
    """A cell that learned; only what a test names differs."""
    return {
        "seed": seed, "lr": 0.1, "batch_size": 10, "diverged": False, "constant_loss": 1.0,
        "start_loss": 1.4, "train_loss": 0.5, "held_out_accuracy": 0.7 + seed / 1000, "gap": 0.1,
        "epochs_to_90": 3, "steps_to_90": 30, "largest_rise": 0.0, "distance": 1.0,
        "gradient_start": 1.0, "gradient_end": 0.5, "noise_scale_end": 50.0, "sharpness": 5.0,
        "history": [{"train_loss": 1.2}, {"train_loss": 0.8}, {"train_loss": 0.5}], **measures,
    }  # fmt: skip


def run(batch_size: int, device: str = "CPU") -> dict[str, Any]:
    return {
        "batch_size": batch_size, "device": device, "images_per_second": 100.0 * batch_size,
        "peak_memory_mb": 200.0 + batch_size,
    }  # fmt: skip


def judged(
    rates: list[dict[str, Any]] | None = None,
    fixed: list[dict[str, Any]] | None = None,
    linear: list[dict[str, Any]] | None = None,
    device: str = "CPU",
) -> dict[str, dict[str, Any]]:
    cells = Cells([], rates or [], fixed or [], linear or fixed or [])
    runs = [run(size, device) for size in (1, 2, 4, 8, 16)]
    return {row["claim"]: row for row in verdicts(Evidence(cells, runs))}


def by_rate(**measures: Any) -> list[dict[str, Any]]:
    """Rates 0.001 to 1, five seeds; a measure is a function of rate and seed."""
    return [
        cell(seed, lr=lr, **{name: f(lr, seed) for name, f in measures.items()})
        for lr in (0.001, 0.01, 0.1, 1.0)
        for seed in SEEDS
    ]


def by_size(**measures: Any) -> list[dict[str, Any]]:
    return [
        cell(seed, batch_size=size, **{name: f(size, seed) for name, f in measures.items()})
        for size in (1, 10, 100)
        for seed in SEEDS
    ]


def test_every_claim_of_the_notebook_is_a_row_with_its_rule() -> None:
    rows = verdicts(Evidence(Cells([], [], [], []), []))
    assert Counter(row["question"] for row in rows) == {"Q1": 12, "Q2": 14}
    assert len({row["claim"] for row in rows}) == len(CLAIMS) == 26
    for row in rows:  # with no figures at all, nothing is decided, and each says what would
        assert row["verdict"] == "not decided here"
        assert row["would_decide"]
        assert row["rule"]


@pytest.mark.parametrize(
    ("claim", "measure", "toward"),
    [
        ("A higher learning rate converges faster", "epochs_to_90", -1),
        ("A higher learning rate generalises worse", "held_out_accuracy", -1),
        ("A lower learning rate generalises better", "held_out_accuracy", -1),
        ("A lower learning rate is stable and steady", "largest_rise", 1),
        ("A lower learning rate needs more iterations", "steps_to_90", -1),
    ],
)
def test_a_trend_with_the_rate(claim: str, measure: str, toward: int) -> None:
    with_trend = by_rate(**{measure: lambda lr, seed: 5 + toward * lr + seed / 1e4})
    against = by_rate(**{measure: lambda lr, seed: 5 - toward * lr + seed / 1e4})
    luck = by_rate(**{measure: lambda _, seed: 5 + seed})  # seeds differ, rates do not
    found = [judged(cells)[claim]["verdict"] for cells in (with_trend, against, luck)]
    assert found == ["holds", "does not hold", "does not hold"]


def test_rates_that_do_not_learn_are_left_out() -> None:
    cells = by_rate(
        held_out_accuracy=lambda lr, seed: 0.2 if lr == 0.001 else 0.9 - lr / 10 + seed / 1e4,
        train_loss=lambda lr, _: 0.95 if lr == 0.001 else 0.5,
    )
    row = judged(cells)["A higher learning rate generalises worse"]
    assert row["verdict"] == "holds"
    assert list(row["figures"]["by_value"]) == ["0.01", "0.1", "1"]
    for c in cells:  # one seed of a rate is enough
        c["diverged"] = c["lr"] == 0.1 and c["seed"] == 2
    row = judged(cells)["A higher learning rate generalises worse"]
    assert list(row["figures"]["by_value"]) == ["0.01", "1"]


def test_never_counts_as_later_than_any() -> None:
    cells = by_rate(steps_to_90=lambda lr, _: "never" if lr < 0.1 else 50)
    row = judged(cells)["A lower learning rate needs more iterations"]
    assert row["verdict"] == "holds"
    assert row["figures"]["by_value"]["0.001"] == {"of": 0, "without": 5}


ABOVE: dict[str, dict[str, Any]] = {
    "A higher learning rate overshoots": {"history": [{"train_loss": 2.0}, {"train_loss": 0.5}]},
    "A higher learning rate oscillates": {
        "history": [{"train_loss": loss} for loss in (1.2, 0.8, 0.9, 0.5)]
    },
    "A higher learning rate diverges": {"diverged": True},
}


@pytest.mark.parametrize("claim", ABOVE)
def test_what_happens_only_above_the_best_rate(claim: str) -> None:
    def cells(at: float, seeds: int) -> list[dict[str, Any]]:
        made = by_rate(train_loss=lambda lr, _: 0.1 if lr == 0.01 else 0.5)
        return [c | (ABOVE[claim] if c["lr"] == at and c["seed"] < seeds else {}) for c in made]

    assert judged(cells(1.0, 3))[claim]["verdict"] == "holds"
    assert judged(cells(1.0, 2))[claim]["verdict"] == "does not hold"
    assert judged(cells(0.001, 3))[claim]["verdict"] == "does not hold"


def test_one_seed_that_gets_stuck_does_not_move_the_best_rate() -> None:
    def loss(lr: float, seed: int) -> float:
        return 9.0 if (lr, seed) == (0.1, 3) else 1 - lr / 2 if lr < 1 else 0.99

    row = judged(by_rate(train_loss=loss))["A higher learning rate overshoots"]
    assert row["figures"]["best_rate"] == 0.1


def test_a_low_rate_is_stuck_only_where_its_gradient_is_gone() -> None:
    claim = "A lower learning rate gets stuck"

    def cells(gradient: float) -> list[dict[str, Any]]:
        low = {"train_loss": 1.3, "gradient_end": gradient}
        return [c | (low if c["lr"] == 0.001 else {}) for c in by_rate(train_loss=lambda *_: 0.5)]

    slow, stuck = (judged(cells(gradient))[claim] for gradient in (0.99, 0.01))
    assert slow["verdict"] == "does not hold"  # it stands where it started, on a slope
    assert slow["figures"]["gradient_left"]["0.001"] == 0.99
    assert stuck["verdict"] == "holds"


def test_the_start_matters_more_at_low_rates() -> None:
    claim = "A lower learning rate is sensitive to initialisation"
    wide = by_rate(held_out_accuracy=lambda lr, seed: 0.5 + (seed - 2) * (0.1 - lr / 12))
    alike = by_rate(held_out_accuracy=lambda _, seed: 0.5 + (seed - 2) * 0.1)
    assert judged(wide)[claim]["verdict"] == "holds"
    assert judged(alike)[claim]["verdict"] == "does not hold"


@pytest.mark.parametrize(
    ("claim", "measure", "toward"),
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
def test_a_trend_with_the_size_must_show_at_both_rates(
    claim: str, measure: str, toward: int
) -> None:
    there = by_size(**{measure: lambda size, seed: 5 + toward * size / 100 + seed / 1e4})
    back = by_size(**{measure: lambda size, seed: 5 - toward * size / 100 + seed / 1e4})
    found = [
        judged(fixed=a, linear=b)[claim]["verdict"] for a, b in ((there, there), (there, back))
    ]
    assert found == ["holds", "does not hold"]


def test_a_larger_batch_is_less_noisy_unless_its_noise_scale_grows_with_it() -> None:
    for claim in (
        "A larger batch has less noisy gradients",
        "A smaller batch has noisier gradients",
    ):
        same = by_size(noise_scale_end=lambda size, _: "undefined" if size == 10 else 50.0)
        assert judged(fixed=same)[claim]["verdict"] == "holds"
        grows = by_size(noise_scale_end=lambda size, _: 50.0 * size)
        assert judged(fixed=grows)[claim]["verdict"] == "does not hold"


def test_speed_is_judged_where_it_was_measured() -> None:
    on_cpu, on_gpu = judged(), judged(device="NVIDIA H100")
    assert on_cpu["A larger batch vectorises better"]["verdict"] == "holds"
    assert on_cpu["A larger batch needs more memory"]["verdict"] == "holds"
    gpu = "A larger batch trains faster on a GPU"
    assert on_cpu[gpu]["verdict"] == "not decided here"
    assert "GPU" in on_cpu[gpu]["would_decide"]
    assert on_gpu[gpu]["verdict"] == "holds"


def test_few_points_decide_nothing() -> None:
    two_values_of_one_seed = [row for row in by_rate() if row["seed"] == 0][:2]
    rows = judged(rates=two_values_of_one_seed)
    for claim in (
        "A higher learning rate converges faster",
        "A lower learning rate generalises better",
        "A lower learning rate is sensitive to initialisation",
    ):
        assert rows[claim]["verdict"] == "not decided here"


@pytest.mark.parametrize(
    ("largest", "verdict"), [(26.0, "holds"), (24.0, "does not hold"), (None, "not decided here")]
)
def test_memory_is_judged_by_the_ends(largest: float | None, verdict: str) -> None:
    peaks = [(1, 20.0), (1, 25.0), (5, 21.0), (5, 30.0)]
    if largest is None:
        peaks = peaks[:2]
    else:
        peaks += [(100, largest), (100, 40.0)]
    runs = [run(size) | {"peak_memory_mb": peak} for size, peak in peaks]
    rows = {row["claim"]: row for row in verdicts(Evidence(Cells([], [], [], []), runs))}
    for claim in ("A larger batch needs more memory", "A smaller batch saves memory"):
        assert rows[claim]["verdict"] == verdict
