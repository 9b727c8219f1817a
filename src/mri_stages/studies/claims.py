"""The rules that judge the notebook's claims; claims.yaml has the claims and the rules in words.

They were written before the results that they judge (one was changed, and says so). In most, the
measure rises (or falls) with the value, by Spearman's correlation over all seeds, p < 0.05.
"""

from collections.abc import Callable, Mapping, Sequence
from math import nan
from operator import attrgetter
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import numpy as np
import yaml
from scipy.stats import spearmanr

from mri_stages.studies.measure import KEYS, Run, by_value, mean_and_deviation

WORDS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
VERDICTS = {True: "holds", False: "does not hold", None: "not decided here"}
P = 0.05
LEARNS = 0.9  # of a constant answer's loss
STUCK = 0.1  # of the gradient's length before training; claims.yaml says it in words

Groups = Mapping[float, Sequence[Run]]  # the runs at each value of a study
Studies = Mapping[str, Groups]  # by study, see `KEYS`
Finding = tuple[bool | None, dict[str, Any]]  # whether the claim holds (None: undecided); figures

DERIVED: dict[str, Callable[[Run], Any]] = {  # what follows from the columns of a run
    "converges": lambda run: not run.diverged,
    "learns": lambda run: not run.diverged and run.train_loss < LEARNS * run.constant_loss,
    "gradient_left": lambda run: run.gradient_end / run.gradient_start,
    "noise_to_signal": lambda run: run.noise_scale_end / run.batch_size,
    "oscillates": lambda run: run.turns >= 2,
    "stuck": lambda run: (
        run.train_loss > run.constant_loss and run.gradient_end < STUCK * run.gradient_start
    ),
}


class Claim(NamedTuple):
    """One of the claims in studies/claims.json."""

    question: str
    claim: str
    rule: str
    figures: dict[str, Any]
    verdict: str
    would_decide: str | None = None  # of a claim that is not decided here


def verdicts(runs: Mapping[str, Sequence[Run]]) -> list[Claim]:
    """Judge each claim by the runs of each study in KEYS."""
    rules = (with_rate, with_size, only_above_best, below_best_stuck, not_measured)
    functions = {rule.__name__: rule for rule in rules}
    studies = {study: by_value(found, KEYS[study]) for study, found in runs.items()}
    claims = []
    for claim, (name, *arguments) in WORDS["claims"].items():
        holds, figures = functions[name](studies, *arguments)
        words = [WORDS["words"].get(argument, argument) for argument in arguments]
        texts = {key: text.format(*words) for key, text in WORDS["rules"][name].items()}
        question = "Q1" if "learning rate" in claim else "Q2"
        would_decide = texts["would_decide"] if holds is None else None
        claims.append(Claim(question, claim, texts["rule"], figures, VERDICTS[holds], would_decide))
    return claims


def with_rate(studies: Studies, condition: str, measure: str, direction: str) -> Finding:
    return trend(that_all(condition, studies["learning_rate"]), measure, direction)


def with_size(studies: Studies, measure: str, direction: str) -> Finding:
    held, figures = [], {}
    for study in ("fixed", "linear"):
        holds, figures[study] = trend(that_all("learns", studies[study]), measure, direction)
        held.append(holds)
    return None if None in held else all(held), figures


def only_above_best(studies: Studies, event: str) -> Finding:
    groups = studies["learning_rate"]
    best = best_rate(groups)
    shares = {lr: mean(measured(group, event)) for lr, group in groups.items()}
    figures = {"best_rate": best, "share": {f"{lr:g}": share for lr, share in shares.items()}}
    if best is None or best == max(shares):
        return None, figures
    most = [lr for lr, share in shares.items() if share > 0.5]
    return bool(most) and min(most) > best, figures


def below_best_stuck(studies: Studies) -> Finding:
    groups = studies["learning_rate"]
    best, left, shares = best_rate(groups), {}, {}
    for lr, group in groups.items():
        group = [run for run in group if not run.diverged and run.gradient_start > 0]
        if best is not None and lr < best and group:
            left[f"{lr:g}"] = rounded(mean(measured(group, "gradient_left")))
            shares[f"{lr:g}"] = mean(measured(group, "stuck"))
    figures = {"best_rate": best, "gradient_left": left, "share_stuck": shares}
    return max(shares.values()) > 0.5 if shares else None, figures


def not_measured(*_: Any) -> Finding:
    return None, {}


def trend(groups: Groups, measure: str, direction: str) -> Finding:
    """Judge a trend; undecided with one value, or below five points: no order of them is rare."""
    values = {value: measured(group, measure) for value, group in groups.items()}
    shown = {f"{value:g}": summary(found) for value, found in values.items()}
    figures: dict[str, Any] = {"by_value": shown}
    points = [(x, y) for x, found in values.items() for y in found if not np.isnan(y)]
    if len({x for x, _ in points}) < 2 or len(points) < 5:
        return None, figures
    if len({y for _, y in points}) == 1:
        return False, {**figures, "rho": 0.0, "p": 1.0}
    rho, p = spearmanr(*zip(*points, strict=True))
    # Far below the level, p says only that there are many points.
    figures |= {"rho": round(float(rho), 3), "p": "< 1e-6" if p < 1e-6 else float(f"{p:.2g}")}
    return bool(p < P and (rho > 0) == (direction == "rises")), figures


def measured(runs: Sequence[Run], measure: str) -> list[Any]:
    """Return of each run: a column, or what follows from its columns."""
    if measure == "seed_variation":
        middle = median(run.held_out_accuracy for run in runs) if len(runs) > 1 else nan
        return [abs(run.held_out_accuracy - middle) for run in runs]
    return [*map(DERIVED.get(measure, attrgetter(measure)), runs)]


def that_all(condition: str, groups: Groups) -> Groups:
    """Return the groups without those in which a run does not meet the condition."""
    return {value: group for value, group in groups.items() if all(measured(group, condition))}


def best_rate(groups: Groups) -> float | None:
    """Return the rate of the lowest training loss (of its median seed) that never diverged."""
    converging = that_all("converges", groups)
    losses = {lr: median(run.train_loss for run in group) for lr, group in converging.items()}
    return min(losses, key=losses.__getitem__, default=None)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return mean, sd and number of the finite values, and how many are not finite."""
    finite = [value for value in values if np.isfinite(value)]
    spread = zip(("mean", "sd"), mean_and_deviation(finite), strict=True)
    row = {name: rounded(figure) for name, figure in spread if figure is not None}
    without = len(values) - len(finite)
    return row | {"of": len(finite)} | ({"without": without} if without else {})


def rounded(value: float) -> float:
    """Round to four digits: enough to read, and no last bits that differ between machines."""
    return float(f"{value:.4g}")
