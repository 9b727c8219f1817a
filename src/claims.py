"""The notebook's claims on learning rates (Q1) and batch sizes (Q2), each with the rule for it.

The rules were written before the figures that they judge (two were changed, and say so). Most are
of one kind: over the values that learn, the measure rises (or falls) with the value, by Spearman's
rank correlation over all cells, p < 0.05. Ranks ask for no shape of curve; and taking each seed as
a point of its own lets a trend stand out only if it is larger than the luck of a start. Verdicts
are not corrected for their number: where there is nothing, one trend in twenty passes by luck.
"""

from collections.abc import Callable
from itertools import pairwise
from statistics import mean, median
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from src.study_cells import Cell, Cells, by_value, mean_and_deviation, numbers

P = 0.05
LEARNS = 0.9  # of a constant answer's loss
STUCK = 0.1  # of the gradient's length before training

MEASURES = {
    "distance": "distance from the first to the last weights",
    "epochs_to_90": "epochs to 90 % training accuracy (never: more than any)",
    "gap": "training less held-out accuracy",
    "held_out_accuracy": "held-out accuracy",
    "images_per_second": "images a second",
    "largest_rise": "largest rise of the loss from one epoch to the next",
    "noise_to_signal": "noise scale at the end / batch size, the variance of a step's gradient "
    "over its squared length",
    "sharpness": "sharpness at the end",
    "steps_to_90": "steps to 90 % training accuracy (never: more than any)",
}

Direction = Literal["rises", "falls"]


class Evidence(NamedTuple):
    cells: Cells
    throughput: list[dict[str, Any]]  # the runs of studies/throughput.json


class Finding(NamedTuple):
    holds: bool | None  # None: not decided here
    figures: dict[str, Any]


class Rule(NamedTuple):
    text: str
    judge: Callable[[Evidence], Finding]
    would_decide: str


class Claim(NamedTuple):
    question: Literal["Q1", "Q2"]
    text: str
    rule: Rule


def verdicts(evidence: Evidence) -> list[dict[str, Any]]:
    """A row a claim, for JSON."""
    rows = []
    for claim in CLAIMS:
        holds, figures = claim.rule.judge(evidence)
        verdict = {True: "holds", False: "does not hold", None: "not decided here"}[holds]
        row = {
            "question": claim.question,
            "claim": claim.text,
            "rule": claim.rule.text,
            "figures": figures,
            "verdict": verdict,
        }
        rows.append(row | ({"would_decide": claim.rule.would_decide} if holds is None else {}))
    return rows


# What the rules are made of.


def learning(cells: list[Cell], key: str) -> list[Cell]:
    """The cells of the values at which every seed ends under 0.9 of a constant answer's loss."""
    kept = []
    for group in by_value(cells, key).values():
        if all(not c["diverged"] and c["train_loss"] < LEARNS * c["constant_loss"] for c in group):
            kept += group
    return kept


def converging(cells: list[Cell], key: str) -> list[Cell]:
    """The cells of the values at which no seed diverged."""
    groups = by_value(cells, key).values()
    return [c for group in groups if not any(c["diverged"] for c in group) for c in group]


def best_rate(cells: list[Cell]) -> float | None:
    """The learning rate of the lowest training loss (of its median seed) that never diverged."""
    losses = {
        lr: median(numbers(group, "train_loss"))
        for lr, group in by_value(converging(cells, "lr"), "lr").items()
    }
    return min(losses, key=losses.__getitem__, default=None)


def trend(cells: list[Cell], key: str, measure: str, direction: Direction) -> Finding:
    """Whether the measure rises or falls with the value: Spearman's rho, p < 0.05.

    Undecided with fewer than two values, or fewer than five points, of which no order is so rare.
    """
    points = []
    for cell in cells:
        value = cell.get(measure)
        if value == "never":
            points.append((cell[key], np.inf))
        elif isinstance(value, int | float):
            points.append((cell[key], value))
    figures: dict[str, Any] = {"by_value": summary(cells, key, measure)}
    if len({x for x, _ in points}) < 2 or len(points) < 5:
        return Finding(None, figures)
    x, y = np.array(points).T
    if len(set(y)) == 1:
        return Finding(False, {**figures, "rho": 0.0, "p": 1.0})
    rho, p = spearmanr(x, y)
    # Far below the level the number says no more than that there are many points.
    figures |= {"rho": round(float(rho), 3), "p": "< 1e-6" if p < 1e-6 else float(f"{p:.2g}")}
    return Finding(bool(p < P and (rho > 0) == (direction == "rises")), figures)


def summary(cells: list[Cell], key: str, measure: str) -> dict[str, Any]:
    """Mean, deviation and number of the cells with a number, and of those without, a value."""
    found = {}
    for value, group in by_value(cells, key).items():
        values = numbers(group, measure)
        average, deviation = mean_and_deviation(values)
        shown = {"mean": average, "sd": deviation, "of": len(values), "without": None}
        shown["without"] = len(group) - len(values) or None
        found[f"{value:g}"] = {k: rounded(v) for k, v in shown.items() if v is not None}
    return found


def rounded(value: float) -> float:
    """To four digits: enough to read, and no last bits to differ between machines."""
    return value if isinstance(value, int) else float(f"{value:.4g}")


# The rules. Each function returns the rule in words and the function that judges by it.


def with_rate(measure: str, direction: Direction, among: str = "learn") -> Rule:
    chosen = {"learn": learning, "do not diverge": converging}[among]
    return Rule(
        f"Over the learning rates that {among}: {MEASURES[measure]} {direction} with the rate",
        lambda evidence: trend(
            chosen(evidence.cells.learning_rate, "lr"), "lr", measure, direction
        ),
        f"two rates or more that {among}",
    )


def with_size(measure: str, direction: Direction) -> Rule:
    def judge(evidence: Evidence) -> Finding:
        findings = {}
        for name in ("fixed", "linear"):
            cells = learning(getattr(evidence.cells, name), "batch_size")
            cells = [with_noise_to_signal(cell) for cell in cells]
            findings[name] = trend(cells, "batch_size", measure, direction)
        held = [finding.holds for finding in findings.values()]
        figures = {name: finding.figures for name, finding in findings.items()}
        return Finding(None if None in held else all(held), figures)

    return Rule(
        f"Over the batch sizes that learn, at a fixed learning rate and at one in proportion alike:"
        f" {MEASURES[measure]} {direction} with the size",
        judge,
        "two batch sizes or more that learn",
    )


def with_noise_to_signal(cell: Cell) -> Cell:
    scale = cell.get("noise_scale_end")
    if not isinstance(scale, int | float):
        return cell
    return {**cell, "noise_to_signal": scale / cell["batch_size"]}


def devices(runs: list[dict[str, Any]]) -> str:
    return ", ".join(sorted({run["device"] for run in runs}))


def of_throughput(measure: str, only_gpu: bool = False) -> Rule:
    def judge(evidence: Evidence) -> Finding:
        runs = evidence.throughput
        device = devices(runs)
        finding = trend(runs, "batch_size", measure, "rises")
        holds = None if only_gpu and device == "CPU" else finding.holds
        return Finding(holds, {"device": device, **finding.figures})

    return Rule(
        f"Over all batch sizes, side by side in one run{' on a GPU' if only_gpu else ''}: "
        f"{MEASURES[measure]} rises with the size",
        judge,
        "on a machine with a GPU, `dvc repro -f -s studies/dvc.yaml:study_throughput`, then "
        "`make studies`"
        if only_gpu
        else "two batch sizes or more",
    )


def of_peak_memory() -> Rule:
    """By the ends alone: what small batches need drowns in what the allocator does each time."""

    def judge(evidence: Evidence) -> Finding:
        runs = evidence.throughput
        figures = {
            "device": devices(runs),
            "by_value": summary(runs, "batch_size", "peak_memory_mb"),
        }
        groups = list(by_value(runs, "batch_size").values())
        if len(groups) < 2:
            return Finding(None, figures)
        low, high = (numbers(group, "peak_memory_mb") for group in (groups[0], groups[-1]))
        return Finding(min(high) > max(low), figures)

    return Rule(
        "Side by side in one run: every run of the largest batch size has a higher peak of memory "
        "than every run of the smallest (changed after a first look: by rank over all sizes, the "
        "verdict differed from run to run)",
        judge,
        "two batch sizes or more",
    )


def only_above_best(words: str, event: Callable[[Cell], bool]) -> Rule:
    def judge(evidence: Evidence) -> Finding:
        cells = evidence.cells.learning_rate
        best = best_rate(cells)
        shares = {lr: mean(map(event, group)) for lr, group in by_value(cells, "lr").items()}
        figures = {"best_rate": best, "share": {f"{lr:g}": s for lr, s in shares.items()}}
        if best is None or max(shares) == best:
            return Finding(None, figures)
        above = any(share > 0.5 for lr, share in shares.items() if lr > best)
        below = any(share > 0.5 for lr, share in shares.items() if lr <= best)
        return Finding(above and not below, figures)

    return Rule(
        f"At some learning rate above the best (that of the lowest training loss, the median over "
        f"seeds; it was the mean, which one seed that got stuck could move), and at none up to it, "
        f"most seeds {words}",
        judge,
        "a rate above the best one",
    )


def overshoots(cell: Cell) -> bool:
    losses = [epoch.get("train_loss", np.inf) for epoch in cell["history"]]
    return bool(max(losses) > cell["start_loss"])


def oscillates(cell: Cell) -> bool:
    losses = [epoch["train_loss"] for epoch in cell["history"] if "train_loss" in epoch]
    rising = [bool(after > before) for before, after in pairwise(losses)]
    return sum(a != b for a, b in pairwise(rising)) >= 2


def below_best_stuck() -> Rule:
    def stuck(cell: Cell) -> bool:
        return bool(
            cell["train_loss"] > cell["constant_loss"]
            and cell["gradient_end"] < STUCK * cell["gradient_start"]
        )

    def judge(evidence: Evidence) -> Finding:
        cells = evidence.cells.learning_rate
        best = best_rate(cells)
        low = [c for c in cells if best is not None and c["lr"] < best and not c["diverged"]]
        groups = by_value(low, "lr")
        left = {
            f"{lr:g}": rounded(mean(c["gradient_end"] / c["gradient_start"] for c in group))
            for lr, group in groups.items()
        }
        shares = {f"{lr:g}": mean(map(stuck, group)) for lr, group in groups.items()}
        figures = {"best_rate": best, "gradient_left": left, "share_stuck": shares}
        return Finding(max(shares.values()) > 0.5 if groups else None, figures)

    return Rule(
        "At some learning rate below the best, most seeds end above a constant answer's loss with a"
        f" gradient under {STUCK:g} of its length before training: still, rather than slow",
        judge,
        "a rate below the best one",
    )


def start_matters_less_with_rate() -> Rule:
    def judge(evidence: Evidence) -> Finding:
        cells = converging(evidence.cells.learning_rate, "lr")
        spread: list[Cell] = []
        for group in by_value(cells, "lr").values():
            if len(group) < 2:
                continue
            middle = median(numbers(group, "held_out_accuracy"))
            spread += [{**c, "spread": abs(c["held_out_accuracy"] - middle)} for c in group]
        return trend(spread, "lr", "spread", "falls")

    return Rule(
        "Over the learning rates that do not diverge: the distance of a seed's held-out accuracy "
        "from its rate's median falls with the rate",
        judge,
        "two rates or more that do not diverge, and two seeds or more",
    )


def not_measured(why: str, would_decide: str) -> Rule:
    return Rule(why, lambda _: Finding(None, {}), would_decide)


CLAIMS = (
    Claim("Q1", "A higher learning rate converges faster", with_rate("epochs_to_90", "falls")),
    Claim(
        "Q1",
        "A higher learning rate escapes local minima",
        not_measured(
            "None: no measure here tells a minimum that holds a run from a slope it is slow on",
            "runs that stand still at a low rate, trained on from there at that rate and at a "
            "higher one: how many only the higher rate takes to a lower loss",
        ),
    ),
    Claim(
        "Q1",
        "A higher learning rate suits shallow networks",
        not_measured(
            "None: the study is of one network",
            "the same study of a deeper network (studies.learning_rate.model: simple_nn1): whether "
            "the highest rate that learns is lower there",
        ),
    ),
    Claim(
        "Q1",
        "A higher learning rate overshoots",
        only_above_best("see an epoch's loss above that before training, or NaN", overshoots),
    ),
    Claim(
        "Q1",
        "A higher learning rate oscillates",
        only_above_best(
            "see the loss turn from falling to rising or back twice or more", oscillates
        ),
    ),
    Claim(
        "Q1",
        "A higher learning rate diverges",
        only_above_best("diverge", lambda cell: bool(cell["diverged"])),
    ),
    Claim(
        "Q1", "A higher learning rate generalises worse", with_rate("held_out_accuracy", "falls")
    ),
    Claim(
        "Q1",
        "A lower learning rate is stable and steady",
        with_rate("largest_rise", "rises", "do not diverge"),
    ),
    Claim(
        "Q1", "A lower learning rate generalises better", with_rate("held_out_accuracy", "falls")
    ),
    Claim(
        "Q1",
        "A lower learning rate needs more iterations",
        with_rate("steps_to_90", "falls", "do not diverge"),
    ),
    Claim("Q1", "A lower learning rate gets stuck", below_best_stuck()),
    Claim(
        "Q1",
        "A lower learning rate is sensitive to initialisation",
        start_matters_less_with_rate(),
    ),
    Claim("Q2", "A larger batch trains faster on a GPU", of_throughput("images_per_second", True)),
    Claim("Q2", "A larger batch has less noisy gradients", with_size("noise_to_signal", "falls")),
    Claim("Q2", "A larger batch vectorises better", of_throughput("images_per_second")),
    Claim("Q2", "A larger batch needs more memory", of_peak_memory()),
    Claim("Q2", "A larger batch overfits", with_size("gap", "rises")),
    Claim("Q2", "A larger batch generalises worse", with_size("held_out_accuracy", "falls")),
    Claim("Q2", "A larger batch ends in sharp minima", with_size("sharpness", "rises")),
    Claim("Q2", "A smaller batch generalises better", with_size("held_out_accuracy", "falls")),
    Claim("Q2", "A smaller batch saves memory", of_peak_memory()),
    Claim("Q2", "A smaller batch explores more", with_size("distance", "falls")),
    Claim("Q2", "A smaller batch has noisier gradients", with_size("noise_to_signal", "falls")),
    Claim("Q2", "A smaller batch converges more slowly", with_size("epochs_to_90", "falls")),
    Claim("Q2", "A smaller batch needs more steps", with_size("steps_to_90", "falls")),
    Claim("Q2", "A smaller batch uses the hardware worse", of_throughput("images_per_second")),
)
