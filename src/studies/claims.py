"""The notebook's claims on learning rates (Q1) and batch sizes (Q2), each with the rule for it.

The rules were written before the results that they judge (two were changed, and say so). Most are
of one kind: over the values that learn, the measure rises (or falls) with the value, by Spearman's
rank correlation over all runs, p < 0.05. Ranks assume no shape of curve. Each seed is a point of
its own, so a trend counts only if it is larger than the seed-to-seed variation. Verdicts are not
corrected for their number: without any effect, one trend in twenty passes by chance.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, median
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel
from scipy.stats import spearmanr

from src.studies.runs import Run, Runs, by_value, mean_and_deviation

VERDICTS = {True: "holds", False: "does not hold", None: "not decided here"}
P = 0.05
LEARNS = 0.9  # of a constant answer's loss
STUCK = 0.1  # of the gradient's length before training
MEASURES = {
    "distance": "distance from the first to the last weights",
    "epochs_to_90": "epochs to 90 % training accuracy (never: more than any)",
    "gap": "training accuracy minus held-out accuracy",
    "held_out_accuracy": "held-out accuracy",
    "largest_rise": "largest rise of the loss from one epoch to the next",
    "noise_to_signal": "noise scale at the end / batch size, which is the variance of a step's "
    "gradient over its squared length",
    "seed_variation": "distance of a seed's held-out accuracy from the median of its rate",
    "sharpness": "sharpness at the end",
    "steps_to_90": "steps to 90 % training accuracy (never: more than any)",
}

Direction = Literal["rises", "falls"]
Groups = Mapping[float, Sequence[Any]]  # the runs at each value of the study
Values = Mapping[float, Sequence[float]]  # a measure of each of these runs
Finding = tuple[bool | None, dict[str, Any]]  # whether the claim holds (None: undecided); figures


class Speed(BaseModel):
    batch_size: int
    images_per_second: float
    peak_memory_mb: float
    device: str


class Throughput(BaseModel):
    """What studies/throughput.json holds."""

    runs: list[Speed]


class Claim(BaseModel):
    question: str
    claim: str
    rule: str
    figures: dict[str, Any]
    verdict: str
    would_decide: str | None = None  # what would decide a claim that is not decided here


class Claims(BaseModel):
    """What studies/claims.json holds."""

    claims: list[Claim]


class Evidence(NamedTuple):
    runs: Runs
    speeds: list[Speed]


class Rule(NamedTuple):
    text: str
    judge: Callable[[Evidence], Finding]
    would_decide: str


def verdicts(evidence: Evidence) -> Claims:
    rows = []
    for question, claims in CLAIMS.items():
        for claim, rule in claims.items():
            holds, figures = rule.judge(evidence)
            row = Claim(
                question=question, claim=claim, rule=rule.text, figures=figures,
                verdict=VERDICTS[holds], would_decide=rule.would_decide if holds is None else None,
            )  # fmt: skip
            rows.append(row)
    return Claims(claims=rows)


# What the rules share.


def converges(run: Run) -> bool:
    return not run.diverged


def learns(run: Run) -> bool:
    return converges(run) and run.train_loss < LEARNS * run.constant_loss


def where_all(condition: Callable[[Run], bool], runs: Sequence[Run], key: str) -> Groups:
    """Return the runs by value, without the values at which a seed does not meet the condition."""
    return {v: group for v, group in by_value(runs, key).items() if all(map(condition, group))}


def best_rate(runs: Sequence[Run]) -> float | None:
    """Return the rate of the lowest training loss (of its median seed) that never diverged."""
    groups = where_all(converges, runs, "lr")
    losses = {lr: median(run.train_loss for run in group) for lr, group in groups.items()}
    return min(losses, key=losses.__getitem__, default=None)


def measured(groups: Groups, measure: str) -> Values:
    if measure == "seed_variation":
        return {value: distances_from_median(group) for value, group in groups.items()}
    return {value: [getattr(run, measure) for run in group] for value, group in groups.items()}


def distances_from_median(runs: Sequence[Any]) -> list[float]:
    accuracies = [run.held_out_accuracy for run in runs]
    return [abs(a - median(accuracies)) if len(runs) > 1 else np.nan for a in accuracies]


def trend(values: Values, direction: Direction) -> Finding:
    """Judge whether the measure rises or falls with the value: Spearman's rho, p < 0.05.

    Undecided with fewer than two values, or with fewer than five points, of which no order is rare
    enough.
    """
    figures: dict[str, Any] = {"by_value": summary(values)}
    points = [(x, y) for x, found in values.items() for y in found if not np.isnan(y)]
    if len({x for x, _ in points}) < 2 or len(points) < 5:
        return None, figures
    if len({y for _, y in points}) == 1:
        return False, {**figures, "rho": 0.0, "p": 1.0}
    rho, p = spearmanr(*zip(*points, strict=True))
    # Far below the level, p says only that there are many points.
    figures |= {"rho": round(float(rho), 3), "p": "< 1e-6" if p < 1e-6 else float(f"{p:.2g}")}
    return bool(p < P and (rho > 0) == (direction == "rises")), figures


def summary(values: Values) -> dict[str, dict[str, float]]:
    """Return, by value: mean, sd and number of the finite measures; how many runs are without."""
    found = {}
    for value, measures in values.items():
        finite = [y for y in measures if np.isfinite(y)]
        average, deviation = mean_and_deviation(finite)
        row = {"mean": average, "sd": deviation, "of": len(finite)}
        row["without"] = len(measures) - len(finite) or None
        found[f"{value:g}"] = {k: rounded(v) for k, v in row.items() if v is not None}
    return found


def rounded(value: float) -> float:
    """Round to four digits: enough to read, and no last bits that differ between machines."""
    return value if isinstance(value, int) else float(f"{value:.4g}")


# The rules. Each function returns the rule in words and the function that judges by it.


def with_rate(measure: str, direction: Direction, among: str = "learn") -> Rule:
    def judge(evidence: Evidence) -> Finding:
        condition = {"learn": learns, "do not diverge": converges}[among]
        groups = where_all(condition, evidence.runs["learning_rate"], "lr")
        return trend(measured(groups, measure), direction)

    text = f"Over the learning rates that {among}: {MEASURES[measure]} {direction} with the rate"
    return Rule(text, judge, f"two rates or more that {among}")


def with_size(measure: str, direction: Direction) -> Rule:
    def judge(evidence: Evidence) -> Finding:
        held, figures = [], {}
        for study in ("fixed", "linear"):
            groups = where_all(learns, evidence.runs[study], "batch_size")
            holds, figures[study] = trend(measured(groups, measure), direction)
            held.append(holds)
        return None if None in held else all(held), figures

    text = (
        "Over the batch sizes that learn, at a fixed learning rate and at one in proportion alike: "
        f"{MEASURES[measure]} {direction} with the size"
    )
    return Rule(text, judge, "two batch sizes or more that learn")


def of_speed(only_gpu: bool = False) -> Rule:
    def judge(evidence: Evidence) -> Finding:
        device = devices(evidence.speeds)
        groups = by_value(evidence.speeds, "batch_size")
        holds, figures = trend(measured(groups, "images_per_second"), "rises")
        return None if only_gpu and device == "CPU" else holds, {"device": device, **figures}

    text = "Over all batch sizes, side by side in one run{}: images per second rises with the size"
    if not only_gpu:
        return Rule(text.format(""), judge, "two batch sizes or more")
    command = "`dvc repro -f -s studies/dvc.yaml:study_throughput`, then `make studies`"
    return Rule(text.format(" on a GPU"), judge, f"on a machine with a GPU, {command}")


def of_memory() -> Rule:
    """Judge by the ends alone: small batches need less than the allocator's own variation."""

    def judge(evidence: Evidence) -> Finding:
        peaks = measured(by_value(evidence.speeds, "batch_size"), "peak_memory_mb")
        figures = {"device": devices(evidence.speeds), "by_value": summary(peaks)}
        if len(peaks) < 2:
            return None, figures
        smallest, *_, largest = peaks.values()
        return min(largest) > max(smallest), figures

    text = (
        "Side by side in one run: every run of the largest batch size has a higher peak of memory "
        "than every run of the smallest (changed after a first look: by rank over all sizes, the "
        "verdict differed from run to run)"
    )
    return Rule(text, judge, "two batch sizes or more")


def devices(speeds: Sequence[Speed]) -> str:
    return ", ".join(sorted({speed.device for speed in speeds}))


def only_above_best(words: str, event: Callable[[Run], bool]) -> Rule:
    def judge(evidence: Evidence) -> Finding:
        runs = evidence.runs["learning_rate"]
        best = best_rate(runs)
        shares = {lr: mean(map(event, group)) for lr, group in by_value(runs, "lr").items()}
        figures = {"best_rate": best, "share": {f"{lr:g}": s for lr, s in shares.items()}}
        if best is None or max(shares) == best:
            return None, figures
        most = [lr for lr, share in shares.items() if share > 0.5]
        return bool(most) and min(most) > best, figures

    text = (
        "At some learning rate above the best (that of the lowest training loss, the median over "
        "seeds; it was the mean, which one seed that got stuck could move), and at none up to it, "
        f"most seeds {words}"
    )
    return Rule(text, judge, "a rate above the best one")


def below_best_stuck() -> Rule:
    def gradient_left(run: Run) -> float:
        return run.gradient_end / run.gradient_start

    def stuck(run: Run) -> bool:
        return run.train_loss > run.constant_loss and gradient_left(run) < STUCK

    def judge(evidence: Evidence) -> Finding:
        runs = evidence.runs["learning_rate"]
        best = best_rate(runs)
        below = [
            run
            for run in runs
            if best is not None and run.lr < best and converges(run) and run.gradient_start > 0
        ]
        groups = {f"{lr:g}": group for lr, group in by_value(below, "lr").items()}
        left = {lr: rounded(mean(map(gradient_left, group))) for lr, group in groups.items()}
        shares = {lr: mean(map(stuck, group)) for lr, group in groups.items()}
        figures = {"best_rate": best, "gradient_left": left, "share_stuck": shares}
        return max(shares.values()) > 0.5 if shares else None, figures

    text = (
        "At some learning rate below the best, most seeds end above a constant answer's loss with a"
        f" gradient under {STUCK:g} of its length before training: still, rather than slow"
    )
    return Rule(text, judge, "a rate below the best one")


def not_measured(why: str, would_decide: str) -> Rule:
    return Rule(f"None: {why}", lambda _: (None, {}), would_decide)


CONVERGE = "do not diverge"
OVERSHOOTS = "see an epoch's loss above that before training, or NaN"
OSCILLATES = "see the loss turn from falling to rising or back twice or more"
MINIMA = not_measured(
    "no measure here tells a minimum that holds a run from a slope on which it is slow",
    "runs that get stuck at a low rate, trained on from there at that rate and at a higher one: "
    "how many of them reach a lower loss only with the higher rate",
)
SHALLOW = not_measured(
    "the study is of one network",
    "the same study of a deeper network (studies.learning_rate.model: simple_nn1): whether the "
    "highest rate that learns is lower there",
)
CLAIMS: dict[str, dict[str, Rule]] = {
    "Q1": {
        "A higher learning rate converges faster": with_rate("epochs_to_90", "falls"),
        "A higher learning rate escapes local minima": MINIMA,
        "A higher learning rate suits shallow networks": SHALLOW,
        "A higher learning rate overshoots": only_above_best(OVERSHOOTS, lambda r: r.overshoots),
        "A higher learning rate oscillates": only_above_best(OSCILLATES, lambda r: r.turns >= 2),
        "A higher learning rate diverges": only_above_best("diverge", lambda r: r.diverged),
        "A higher learning rate generalises worse": with_rate("held_out_accuracy", "falls"),
        "A lower learning rate is stable and steady": with_rate("largest_rise", "rises", CONVERGE),
        "A lower learning rate generalises better": with_rate("held_out_accuracy", "falls"),
        "A lower learning rate needs more iterations": with_rate("steps_to_90", "falls", CONVERGE),
        "A lower learning rate gets stuck": below_best_stuck(),
        "A lower learning rate is sensitive to initialisation": with_rate(
            "seed_variation", "falls", CONVERGE
        ),
    },
    "Q2": {
        "A larger batch trains faster on a GPU": of_speed(only_gpu=True),
        "A larger batch has less noisy gradients": with_size("noise_to_signal", "falls"),
        "A larger batch vectorises better": of_speed(),
        "A larger batch needs more memory": of_memory(),
        "A larger batch overfits": with_size("gap", "rises"),
        "A larger batch generalises worse": with_size("held_out_accuracy", "falls"),
        "A larger batch ends in sharp minima": with_size("sharpness", "rises"),
        "A smaller batch generalises better": with_size("held_out_accuracy", "falls"),
        "A smaller batch saves memory": of_memory(),
        "A smaller batch explores more": with_size("distance", "falls"),
        "A smaller batch has noisier gradients": with_size("noise_to_signal", "falls"),
        "A smaller batch converges more slowly": with_size("epochs_to_90", "falls"),
        "A smaller batch needs more steps": with_size("steps_to_90", "falls"),
        "A smaller batch uses the hardware worse": of_speed(),
    },
}
