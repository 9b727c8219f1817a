from collections.abc import Sequence
from math import inf, nan
from typing import Any

import pytest

from mri_stages.studies.claims import CLAIMS
from mri_stages.studies.points import LrRule
from mri_stages.studies.records import Run
from mri_stages.studies.rules import (
    CONVERGES,
    DIVERGES,
    GAP,
    HELD_OUT_ACCURACY,
    LEARNS,
    NOISE_TO_SIGNAL,
    OSCILLATES,
    OVERSHOOTS,
    SEED_VARIATION,
    STEPS_TO_90,
    BelowLowestLossStuck,
    Condition,
    Direction,
    Finding,
    NotMeasured,
    OnlyAboveLowestLoss,
    TrendWithRate,
    TrendWithSize,
    Verdict,
    choose_lowest_loss_rate,
    describe_spread,
    format_p,
    is_stuck,
    judge_trend,
    round_figure,
)
from mri_stages.studies.summary import StudyRuns, group_by_rate, group_by_size
from tests.helpers.study_runs import make_rate_runs, make_run, make_size_runs

HOLDS = Verdict.HOLDS
DOES_NOT_HOLD = Verdict.DOES_NOT_HOLD
UNDECIDED = Verdict.UNDECIDED
RISES = Direction.RISES
FALLS = Direction.FALLS


def group_all(
    rates: Sequence[Run] = (), fixed: Sequence[Run] = (), linear: Sequence[Run] | None = None
) -> StudyRuns:
    """Return the runs by value; `linear` is like `fixed` unless given."""
    sizes = {
        LrRule.FIXED: group_by_size(fixed),
        LrRule.LINEAR: group_by_size(fixed if linear is None else linear),
    }
    return StudyRuns(seed={}, learning_rate=group_by_rate(rates), batch_size=sizes)


def change_runs(runs: Sequence[Run], lr: float, n_seeds: int = 5, **measures: Any) -> list[Run]:
    """Return the runs with other measures in the first seeds of a rate."""
    changed_runs = []
    for run in runs:
        is_changed = run.lr == lr and run.seed < n_seeds
        changed_runs.append(run.model_copy(update=measures) if is_changed else run)
    return changed_runs


def judge_accuracy(runs: Sequence[Run]) -> Finding:
    """Judge whether the held-out accuracy falls with the rate."""
    return TrendWithRate(HELD_OUT_ACCURACY, FALLS, among=LEARNS).judge(group_all(runs))


FALLING_RUNS = make_rate_runs(held_out_accuracy=lambda lr, seed: 0.9 - lr / 10 + seed / 1e4)


# Trends


def judge_gap(direction: Direction, runs: Sequence[Run]) -> Finding:
    return judge_trend(group_by_rate(runs), GAP, direction)


@pytest.mark.parametrize(("direction", "sign"), [(RISES, 1), (FALLS, -1)])
def test_trend_holds_in_its_direction(direction: Direction, sign: int) -> None:
    runs = make_rate_runs(gap=lambda lr, seed: sign * lr + seed / 1e4)
    assert judge_gap(direction, runs).verdict is HOLDS


@pytest.mark.parametrize(("direction", "sign"), [(RISES, -1), (FALLS, 1)])
def test_trend_in_the_other_direction_does_not_hold(direction: Direction, sign: int) -> None:
    runs = make_rate_runs(gap=lambda lr, seed: sign * lr + seed / 1e4)
    assert judge_gap(direction, runs).verdict is DOES_NOT_HOLD


def test_trend_within_seeds_does_not_hold() -> None:
    finding = judge_gap(RISES, make_rate_runs(gap=lambda lr, seed: lr / 10 + seed))
    assert finding.verdict is DOES_NOT_HOLD
    assert finding.figures["p"] > 0.05
    assert finding.figures["rho"] > 0


@pytest.mark.parametrize(
    ("gaps", "verdict"),
    [([1, 2, 3, 4, 8, 7, 6, 5], HOLDS), ([2, 1, 3, 8, 4, 7, 6, 5], DOES_NOT_HOLD)],
)
def test_trend_holds_below_a_p_of_005(gaps: list[float], verdict: Verdict) -> None:
    """The sums of squared differences of ranks, 20 and 30, make rho 0.762 and 0.643."""
    groups = {float(value): [make_run(gap=gap)] for value, gap in enumerate(gaps)}
    finding = judge_trend(groups, GAP, RISES)
    assert 0.02 < finding.figures["p"] < 0.1
    assert finding.verdict is verdict


def test_trend_of_a_constant_does_not_hold() -> None:
    finding = judge_gap(RISES, make_rate_runs(gap=lambda *_: 5))
    assert finding.verdict is DOES_NOT_HOLD
    assert (finding.figures["rho"], finding.figures["p"]) == (0.0, 1.0)


def test_trend_needs_five_points() -> None:
    runs = make_rate_runs(gap=lambda lr, _: lr)
    four_runs = [run for run in runs if run.seed == 0]
    assert judge_gap(RISES, four_runs).verdict is UNDECIDED
    assert judge_gap(RISES, four_runs + runs[1:2]).verdict is HOLDS


def test_trend_needs_two_values() -> None:
    runs = make_rate_runs(gap=lambda lr, seed: lr + seed)
    assert judge_gap(RISES, runs[:5]).verdict is UNDECIDED


def test_trend_counts_no_nan_as_a_point() -> None:
    runs = [*make_rate_runs(gap=lambda lr, _: lr)[::5], make_run(lr=1.0, gap=nan)]
    assert judge_gap(RISES, runs).verdict is UNDECIDED


def test_trend_ranks_never_behind_every_number() -> None:
    runs = make_rate_runs(steps_to_90=lambda lr, _: inf if lr < 0.1 else 50)
    finding = judge_trend(group_by_rate(runs), STEPS_TO_90, FALLS)
    assert finding.verdict is HOLDS
    assert finding.figures["by_value"]["0.001"] == {"of": 0, "without": 5}
    assert finding.figures["by_value"]["0.1"] == {"mean": 50.0, "sd": 0.0, "of": 5}


@pytest.mark.parametrize(
    ("p", "shown"), [(0.01234, 0.012), (1e-6, 1e-6), (9.9e-7, "< 1e-6"), (0.0, "< 1e-6")]
)
def test_format_p_shows_two_digits_down_to_1e_6(p: float, shown: float | str) -> None:
    assert format_p(p) == shown


def test_trend_with_rate_leaves_out_a_rate_that_does_not_learn() -> None:
    """One seed that does not learn is enough: 0.9 of a constant answer's loss of 1."""
    runs = change_runs(FALLING_RUNS, 0.001, held_out_accuracy=0.2)
    assert judge_accuracy(runs).verdict is DOES_NOT_HOLD
    runs = change_runs(runs, 0.001, n_seeds=1, train_loss=0.901)
    finding = judge_accuracy(runs)
    assert finding.verdict is HOLDS
    assert list(finding.figures["by_value"]) == ["0.01", "0.1", "1"]


def test_trend_with_rate_keeps_a_rate_that_just_learns() -> None:
    runs = change_runs(FALLING_RUNS, 0.001, train_loss=0.899)
    assert len(judge_accuracy(runs).figures["by_value"]) == 4


def test_trend_with_rate_leaves_out_a_rate_that_diverges() -> None:
    runs = change_runs(FALLING_RUNS, 0.1, n_seeds=1, diverged=True)
    assert list(judge_accuracy(runs).figures["by_value"]) == ["0.001", "0.01", "1"]


@pytest.mark.parametrize(
    ("fixed_sign", "linear_sign", "verdict"),
    [(1, 1, HOLDS), (1, -1, DOES_NOT_HOLD), (-1, 1, DOES_NOT_HOLD)],
)
def test_trend_with_size_must_hold_at_both_rates(
    fixed_sign: int, linear_sign: int, verdict: Verdict
) -> None:
    fixed_runs = make_size_runs(gap=lambda size, _: fixed_sign * size)
    linear_runs = make_size_runs(gap=lambda size, _: linear_sign * size)
    finding = TrendWithSize(GAP, RISES).judge(group_all(fixed=fixed_runs, linear=linear_runs))
    assert finding.verdict is verdict
    assert [figures["rho"] for figures in finding.figures.values()] == [fixed_sign, linear_sign]
    assert list(finding.figures) == ["fixed", "linear"]


def test_trend_with_size_undecided_at_one_rate_is_undecided() -> None:
    runs = make_size_runs(gap=lambda size, _: size)
    finding = TrendWithSize(GAP, RISES).judge(group_all(fixed=runs, linear=runs[:5]))
    assert finding.verdict is UNDECIDED


def test_trend_with_size_leaves_out_a_size_that_does_not_learn() -> None:
    runs = make_size_runs(
        gap=lambda size, _: size, train_loss=lambda size, _: 0.95 if size == 10 else 0.5
    )
    finding = TrendWithSize(GAP, RISES).judge(group_all(fixed=runs))
    assert list(finding.figures["fixed"]["by_value"]) == ["1", "100"]


def test_noise_to_signal_is_per_row_of_a_batch() -> None:
    run = make_run(noise_scale_end=50.0, batch_size=20)
    assert NOISE_TO_SIGNAL.list_values([run]) == [2.5]


def test_seed_variation_is_the_distance_from_the_median() -> None:
    runs = [make_run(held_out_accuracy=accuracy) for accuracy in (0.5, 0.9, 0.6)]
    assert SEED_VARIATION.list_values(runs) == pytest.approx([0.1, 0.3, 0])


def test_seed_variation_of_two_runs_is_half_their_distance() -> None:
    runs = [make_run(held_out_accuracy=accuracy) for accuracy in (0.5, 0.9)]
    assert SEED_VARIATION.list_values(runs) == pytest.approx([0.2, 0.2])


def test_seed_variation_of_one_run_is_undefined() -> None:
    assert SEED_VARIATION.list_values([make_run()]) == [pytest.approx(nan, nan_ok=True)]


# Each claim with a trend: its measure, and the sign of its trend with the value

CLAIM_TRENDS = [
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
    ("A larger batch has less noisy gradients", "noise_scale_end", -1),
    ("A smaller batch has noisier gradients", "noise_scale_end", -1),
]


def judge_claim_by(text: str, measure: str, sign: int) -> Verdict:
    """Judge a claim by runs in which one measure rises or falls with the value."""

    def compute(value: float, seed: int) -> float:
        number = 5 + sign * value / 100 + seed / 1e6
        # The claims on noisy gradients divide the noise scale by the batch size.
        return number * value if measure == "noise_scale_end" else number

    (rule,) = (claim.rule for claim in CLAIMS if claim.text == text)
    runs = group_all(
        rates=make_rate_runs(**{measure: compute}), fixed=make_size_runs(**{measure: compute})
    )
    return rule.judge(runs).verdict


@pytest.mark.parametrize(("text", "measure", "sign"), CLAIM_TRENDS)
def test_claim_holds_by_its_measure(text: str, measure: str, sign: int) -> None:
    assert judge_claim_by(text, measure, sign) is HOLDS


@pytest.mark.parametrize(("text", "measure", "sign"), CLAIM_TRENDS)
def test_claim_fails_by_the_opposite_trend(text: str, measure: str, sign: int) -> None:
    assert judge_claim_by(text, measure, -sign) is DOES_NOT_HOLD


def test_claim_of_initialisation_is_judged_by_the_spread() -> None:
    (rule,) = (claim.rule for claim in CLAIMS if "initialisation" in claim.text)
    falling = make_rate_runs(held_out_accuracy=lambda lr, seed: 0.5 + (seed - 2) * (0.1 - lr / 12))
    assert rule.judge(group_all(falling)).verdict is HOLDS


# The rate of the lowest loss


def test_lowest_loss_rate_is_of_the_lowest_median() -> None:
    # One seed of the rate 0.01 got stuck: it moves a mean, not the median.
    runs = make_rate_runs(train_loss=lambda lr, _: 0.1 if lr == 0.01 else 0.5)
    runs = change_runs(runs, 0.01, n_seeds=1, train_loss=9.0)
    assert choose_lowest_loss_rate(group_by_rate(runs)) == 0.01


def test_lowest_loss_rate_never_diverges() -> None:
    runs = change_runs(make_rate_runs(train_loss=lambda lr, _: lr), 0.001, 1, diverged=True)
    assert choose_lowest_loss_rate(group_by_rate(runs)) == 0.01


def test_lowest_loss_rate_is_none_where_all_diverge() -> None:
    runs = make_rate_runs(diverged=lambda *_: True)
    assert choose_lowest_loss_rate(group_by_rate(runs)) is None


# Events above the rate of the lowest loss

LOWEST_AT_001_RUNS = make_rate_runs(train_loss=lambda lr, _: 0.1 if lr == 0.01 else 0.5)


@pytest.mark.parametrize(
    ("n_seeds_below", "n_seeds_above", "verdict"),
    [(0, 3, HOLDS), (2, 3, HOLDS), (0, 2, DOES_NOT_HOLD), (3, 0, DOES_NOT_HOLD),
     (3, 3, DOES_NOT_HOLD)],
)  # fmt: skip
def test_only_above_lowest_loss_needs_most_seeds_there_alone(
    n_seeds_below: int, n_seeds_above: int, verdict: Verdict
) -> None:
    runs = change_runs(LOWEST_AT_001_RUNS, 0.001, n_seeds_below, overshoots=True)
    runs = change_runs(runs, 1.0, n_seeds_above, overshoots=True)
    finding = OnlyAboveLowestLoss(OVERSHOOTS).judge(group_all(runs))
    assert finding.verdict is verdict
    assert finding.figures["lowest_loss_rate"] == 0.01
    assert finding.figures["share"]["1"] == n_seeds_above / 5


def test_only_above_lowest_loss_needs_more_than_half_the_seeds() -> None:
    runs = change_runs(LOWEST_AT_001_RUNS, 1.0, n_seeds=2, overshoots=True)
    finding = OnlyAboveLowestLoss(OVERSHOOTS).judge(
        group_all([run for run in runs if run.seed < 4])
    )
    assert finding.figures["share"]["1"] == 0.5
    assert finding.verdict is DOES_NOT_HOLD


def test_only_above_lowest_loss_does_not_count_that_rate() -> None:
    runs = change_runs(LOWEST_AT_001_RUNS, 0.01, overshoots=True)
    finding = OnlyAboveLowestLoss(OVERSHOOTS).judge(group_all(runs))
    assert finding.verdict is DOES_NOT_HOLD


@pytest.mark.parametrize("rates", [(0.001, 0.01), ()])
def test_only_above_lowest_loss_needs_a_rate_above(rates: tuple[float, ...]) -> None:
    runs = [run for run in LOWEST_AT_001_RUNS if run.lr in rates]
    assert OnlyAboveLowestLoss(OVERSHOOTS).judge(group_all(runs)).verdict is UNDECIDED


@pytest.mark.parametrize(
    ("condition", "measures", "is_met"),
    [
        (OVERSHOOTS, {"overshoots": True}, True),
        (OVERSHOOTS, {"overshoots": False}, False),
        (DIVERGES, {"diverged": True}, True),
        (DIVERGES, {"diverged": False}, False),
        (OSCILLATES, {"turns": 2}, True),
        (OSCILLATES, {"turns": 1}, False),
        (CONVERGES, {"diverged": True}, False),
        (CONVERGES, {"diverged": False}, True),
        (LEARNS, {"train_loss": 1.79, "constant_loss": 2.0}, True),
        (LEARNS, {"train_loss": 1.8, "constant_loss": 2.0}, False),
        (LEARNS, {"train_loss": 0.1, "diverged": True}, False),
    ],
)
def test_condition_is_met_by_its_field(
    condition: Condition, measures: dict[str, Any], is_met: bool
) -> None:
    assert condition.is_met(make_run(**measures)) is is_met


# Stuck below the rate of the lowest loss


@pytest.mark.parametrize(
    ("train_loss", "gradient_end", "expected"),
    [
        (1.3, 0.19, True),
        (1.3, 0.21, False),  # slow: still on a slope
        (1.0, 0.19, False),  # not above a constant answer's loss
        (1.3, nan, False),
    ],
)
def test_is_stuck_without_gradient_above_constant(
    train_loss: float, gradient_end: float, expected: bool
) -> None:
    run = make_run(train_loss=train_loss, gradient_start=2.0, gradient_end=gradient_end)
    assert is_stuck(run) is expected


STUCK: dict[str, Any] = {"train_loss": 1.3, "gradient_end": 0.05, "gradient_start": 1.0}
LOWEST_AT_01_RUNS = make_rate_runs(train_loss=lambda lr, _: 0.1 if lr == 0.1 else 0.5)


@pytest.mark.parametrize(("n_seeds", "verdict"), [(3, HOLDS), (2, DOES_NOT_HOLD)])
def test_below_lowest_loss_stuck_needs_most_seeds(n_seeds: int, verdict: Verdict) -> None:
    runs = change_runs(LOWEST_AT_01_RUNS, 0.001, n_seeds, **STUCK)
    finding = BelowLowestLossStuck().judge(group_all(runs))
    assert finding.verdict is verdict
    assert finding.figures["share_stuck"] == {"0.001": n_seeds / 5, "0.01": 0}


def test_below_lowest_loss_stuck_needs_more_than_half_the_seeds() -> None:
    runs = change_runs(LOWEST_AT_01_RUNS, 0.001, n_seeds=2, **STUCK)
    finding = BelowLowestLossStuck().judge(group_all([run for run in runs if run.seed < 4]))
    assert finding.figures["share_stuck"]["0.001"] == 0.5
    assert finding.verdict is DOES_NOT_HOLD


def test_below_lowest_loss_stuck_ignores_other_rates() -> None:
    runs = change_runs(LOWEST_AT_01_RUNS, 1.0, **STUCK)
    assert BelowLowestLossStuck().judge(group_all(runs)).verdict is DOES_NOT_HOLD


def test_below_lowest_loss_stuck_needs_a_rate_below() -> None:
    runs = [run for run in LOWEST_AT_01_RUNS if run.lr >= 0.1]
    assert BelowLowestLossStuck().judge(group_all(runs)).verdict is UNDECIDED


def test_below_lowest_loss_stuck_leaves_out_flat_and_diverged_runs() -> None:
    runs = change_runs(LOWEST_AT_01_RUNS, 0.001, gradient_start=0.0)
    runs = change_runs(runs, 0.01, diverged=True)
    assert BelowLowestLossStuck().judge(group_all(runs)).verdict is UNDECIDED


def test_below_lowest_loss_stuck_shows_the_gradient_left() -> None:
    runs = change_runs(LOWEST_AT_01_RUNS, 0.001, gradient_start=2.0, gradient_end=0.2)
    finding = BelowLowestLossStuck().judge(group_all(runs))
    assert finding.figures["gradient_left"] == {"0.001": 0.1, "0.01": 0.5}


def test_not_measured_decides_nothing() -> None:
    finding = NotMeasured("why", "what would").judge(group_all(FALLING_RUNS))
    assert finding == Finding(UNDECIDED, {})


# Figures


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 3.0], {"mean": 2.0, "sd": 1.414, "of": 2}),
        ([1.0, inf, nan], {"mean": 1.0, "of": 1, "without": 2}),
        ([], {"of": 0}),
    ],
)
def test_describe_spread_counts_finite_values(
    values: list[float], expected: dict[str, float]
) -> None:
    assert describe_spread(values) == expected


def test_round_figure_keeps_four_digits() -> None:
    assert [round_figure(123456.0), round_figure(0.000123456)] == [123500.0, 0.0001235]
