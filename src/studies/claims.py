"""The notebook's claims on learning rates (Q1) and batch sizes (Q2), each with the rule for it.

The rules were written before the results that they judge (one was changed, and says so). Most are
of one kind: over the values that learn, the measure rises (or falls) with the value, by Spearman's
rank correlation over all runs, p < 0.05. Ranks assume no shape of curve. Each seed is a point of
its own, so a trend counts only if it is larger than the seed-to-seed variation. Verdicts are not
corrected for their number: without any effect, one trend in twenty passes by chance.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import mean, median
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from src.studies.runs import Run, by_value, mean_and_deviation

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
LEARN, CONVERGE = "learn", "do not diverge"
CONDITIONS: dict[str, Callable[[Run], bool]] = {
    LEARN: lambda run: not run.diverged and run.train_loss < LEARNS * run.constant_loss,
    CONVERGE: lambda run: not run.diverged,
}

Studies = Mapping[str, Sequence[Any]]  # runs by study, see `KEYS`
Groups = Mapping[float, Sequence[Any]]  # the runs at each value of a study
Finding = tuple[bool | None, dict[str, Any]]  # whether the claim holds (None: undecided); figures
Judgement = tuple[str, Finding, str]  # the rule in words; the finding; what would decide it


@dataclass(frozen=True)
class Claim:
    question: str
    claim: str
    rule: str
    figures: dict[str, Any]
    verdict: str
    would_decide: str | None = None  # of a claim that is not decided here


@dataclass(frozen=True)
class Claims:
    """What studies/claims.json holds."""

    claims: list[Claim]


def verdicts(studies: Studies) -> Claims:
    rows = []
    for claim, (judge, *arguments) in CLAIMS.items():
        question = "Q1" if "learning rate" in claim else "Q2"
        rule, (holds, figures), would_decide = judge(studies, *arguments)
        open_question = would_decide if holds is None else None
        rows.append(Claim(question, claim, rule, figures, VERDICTS[holds], open_question))
    return Claims(rows)


def with_rate(studies: Studies, measure: str, direction: str, among: str = LEARN) -> Judgement:
    groups = that_all(among, studies["learning_rate"], "lr")
    rule = f"Over the learning rates that {among}: {MEASURES[measure]} {direction} with the rate"
    return rule, trend(groups, measure, direction), f"two rates or more that {among}"


def with_size(studies: Studies, measure: str, direction: str) -> Judgement:
    held, figures = [], {}
    for study in ("fixed", "linear"):
        groups = that_all(LEARN, studies[study], "batch_size")
        holds, figures[study] = trend(groups, measure, direction)
        held.append(holds)
    rule = (
        "Over the batch sizes that learn, at a fixed learning rate and at one in proportion alike: "
        f"{MEASURES[measure]} {direction} with the size"
    )
    finding = None if None in held else all(held), figures
    return rule, finding, "two batch sizes or more that learn"


def only_above_best(studies: Studies, words: str, event: Callable[[Run], bool]) -> Judgement:
    runs = studies["learning_rate"]
    best = best_rate(runs)
    shares = {lr: mean(map(event, group)) for lr, group in by_value(runs, "lr").items()}
    most = [lr for lr, share in shares.items() if share > 0.5]
    decided = best is not None and best < max(shares)
    holds = bool(most) and min(most) > best if decided else None
    figures = {"best_rate": best, "share": {f"{lr:g}": s for lr, s in shares.items()}}
    rule = (
        "At some learning rate above the best (that of the lowest training loss, the median over "
        "seeds; it was the mean, which one seed that got stuck could move), and at none up to it, "
        f"most seeds {words}"
    )
    return rule, (holds, figures), "a rate above the best one"


def below_best_stuck(studies: Studies) -> Judgement:
    runs = studies["learning_rate"]
    best, left, shares = best_rate(runs), {}, {}
    for lr, group in by_value(runs, "lr").items():
        group = [run for run in group if not run.diverged and run.gradient_start > 0]
        if best is not None and lr < best and group:
            lengths = [run.gradient_end / run.gradient_start for run in group]
            above = [run.train_loss > run.constant_loss for run in group]
            left[f"{lr:g}"] = rounded(mean(lengths))
            shares[f"{lr:g}"] = mean(a and b < STUCK for a, b in zip(above, lengths, strict=True))
    figures = {"best_rate": best, "gradient_left": left, "share_stuck": shares}
    holds = max(shares.values()) > 0.5 if shares else None
    rule = (
        "At some learning rate below the best, most seeds end above a constant answer's loss with a"
        f" gradient under {STUCK:g} of its length before training: still, rather than slow"
    )
    return rule, (holds, figures), "a rate below the best one"


def not_measured(_: Studies, why: str, would_decide: str) -> Judgement:
    return f"None: {why}", (None, {}), would_decide


def trend(groups: Groups, measure: str, direction: str) -> Finding:
    """Judge whether the measure rises or falls with the value: Spearman's rho, p < 0.05.

    Undecided with fewer than two values, or with fewer than five points, of which no order is rare
    enough.
    """
    values = {value: measured(group, measure) for value, group in groups.items()}
    figures: dict[str, Any] = {"by_value": summaries(values)}
    points = [(x, y) for x, found in values.items() for y in found if not np.isnan(y)]
    if len({x for x, _ in points}) < 2 or len(points) < 5:
        return None, figures
    if len({y for _, y in points}) == 1:
        return False, {**figures, "rho": 0.0, "p": 1.0}
    rho, p = spearmanr(*zip(*points, strict=True))
    # Far below the level, p says only that there are many points.
    figures |= {"rho": round(float(rho), 3), "p": "< 1e-6" if p < 1e-6 else float(f"{p:.2g}")}
    return bool(p < P and (rho > 0) == (direction == "rises")), figures


def measured(runs: Sequence[Any], measure: str) -> list[float]:
    if measure == "noise_to_signal":
        return [run.noise_scale_end / run.batch_size for run in runs]
    if measure == "seed_variation":
        middle = median(run.held_out_accuracy for run in runs) if len(runs) > 1 else np.nan
        return [abs(run.held_out_accuracy - middle) for run in runs]
    return [getattr(run, measure) for run in runs]


def that_all(among: str, runs: Sequence[Run], key: str) -> Groups:
    """Return the runs by value, without the values at which a seed does not meet the condition."""
    groups = by_value(runs, key).items()
    return {value: group for value, group in groups if all(map(CONDITIONS[among], group))}


def best_rate(runs: Sequence[Run]) -> float | None:
    """Return the rate of the lowest training loss (of its median seed) that never diverged."""
    groups = that_all(CONVERGE, runs, "lr")
    losses = {lr: median(run.train_loss for run in group) for lr, group in groups.items()}
    return min(losses, key=losses.__getitem__, default=None)


def summaries(values: Mapping[float, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Return, by value: mean, sd and number of the finite measures; how many are not finite."""
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


OVERSHOOTS = "see an epoch's loss above that before training, or NaN"
OSCILLATES = "see the loss turn from falling to rising or back twice or more"
MINIMA = (
    "no measure here tells a minimum that holds a run from a slope on which it is slow",
    "runs that get stuck at a low rate, trained on from there at that rate and at a higher one: "
    "how many of them reach a lower loss only with the higher rate",
)
SHALLOW = (
    "the study is of one network",
    "the same study of a deeper network (studies.learning_rate.model: simple_nn1): whether the "
    "highest rate that learns is lower there",
)
CLAIMS: dict[str, tuple[Any, ...]] = {  # claim: the function that judges it, its arguments
    "A higher learning rate converges faster": (with_rate, "epochs_to_90", "falls"),
    "A higher learning rate escapes local minima": (not_measured, *MINIMA),
    "A higher learning rate suits shallow networks": (not_measured, *SHALLOW),
    "A higher learning rate overshoots": (only_above_best, OVERSHOOTS, attrgetter("overshoots")),
    "A higher learning rate oscillates": (only_above_best, OSCILLATES, lambda run: run.turns >= 2),
    "A higher learning rate diverges": (only_above_best, "diverge", attrgetter("diverged")),
    "A higher learning rate generalises worse": (with_rate, "held_out_accuracy", "falls"),
    "A lower learning rate is stable and steady": (with_rate, "largest_rise", "rises", CONVERGE),
    "A lower learning rate generalises better": (with_rate, "held_out_accuracy", "falls"),
    "A lower learning rate needs more iterations": (with_rate, "steps_to_90", "falls", CONVERGE),
    "A lower learning rate gets stuck": (below_best_stuck,),
    "A lower learning rate is sensitive to initialisation": (
        *(with_rate, "seed_variation", "falls", CONVERGE),
    ),
    "A larger batch has less noisy gradients": (with_size, "noise_to_signal", "falls"),
    "A larger batch overfits": (with_size, "gap", "rises"),
    "A larger batch generalises worse": (with_size, "held_out_accuracy", "falls"),
    "A larger batch ends in sharp minima": (with_size, "sharpness", "rises"),
    "A smaller batch generalises better": (with_size, "held_out_accuracy", "falls"),
    "A smaller batch explores more": (with_size, "distance", "falls"),
    "A smaller batch has noisier gradients": (with_size, "noise_to_signal", "falls"),
    "A smaller batch converges more slowly": (with_size, "epochs_to_90", "falls"),
    "A smaller batch needs more steps": (with_size, "steps_to_90", "falls"),
}
