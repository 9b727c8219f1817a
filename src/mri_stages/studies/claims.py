"""The notebook's claims on learning rates (Q1) and batch sizes (Q2), and the rule of each."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from mri_stages.studies.rules import (
    CONVERGES,
    DISTANCE,
    DIVERGES,
    EPOCHS_TO_90,
    GAP,
    HELD_OUT_ACCURACY,
    LARGEST_RISE,
    LEARNS,
    NOISE_TO_SIGNAL,
    OSCILLATES,
    OVERSHOOTS,
    SEED_VARIATION,
    SHARPNESS,
    STEPS_TO_90,
    BelowLowestLossStuck,
    Direction,
    NotMeasured,
    OnlyAboveLowestLoss,
    Rule,
    TrendWithRate,
    TrendWithSize,
    Verdict,
)
from mri_stages.studies.summary import StudyRuns

RISES = Direction.RISES
FALLS = Direction.FALLS


class Question(StrEnum):
    """A question of the notebook: what does the learning rate change, what the batch size?"""

    Q1 = "Q1"
    Q2 = "Q2"


@dataclass(frozen=True)
class Claim:
    """A claim of the notebook, and the rule that judges it."""

    question: Question
    text: str
    rule: Rule


class JudgedClaim(BaseModel):
    """One of the claims in studies/claims.json."""

    question: Question
    claim: str
    rule: str
    figures: dict[str, Any]
    verdict: Verdict
    would_decide: str | None  # None: the claim is decided


CLAIMS = [
    Claim(
        Question.Q1,
        "A higher learning rate converges faster",
        TrendWithRate(EPOCHS_TO_90, FALLS, among=LEARNS),
    ),
    Claim(
        Question.Q1,
        "A higher learning rate escapes local minima",
        NotMeasured(
            "no measure here tells a minimum that holds a run from a slope on which it is slow",
            "runs that get stuck at a low rate, trained on from there at that rate and at a higher "
            "one: how many of them reach a lower loss only with the higher rate",
        ),
    ),
    Claim(
        Question.Q1,
        "A higher learning rate suits shallow networks",
        NotMeasured(
            "the study is of one network",
            "the same study of a deeper network (studies.learning_rate.model: simple_nn1): whether "
            "the highest rate that learns is lower there",
        ),
    ),
    Claim(Question.Q1, "A higher learning rate overshoots", OnlyAboveLowestLoss(OVERSHOOTS)),
    Claim(Question.Q1, "A higher learning rate oscillates", OnlyAboveLowestLoss(OSCILLATES)),
    Claim(Question.Q1, "A higher learning rate diverges", OnlyAboveLowestLoss(DIVERGES)),
    Claim(
        Question.Q1,
        "A higher learning rate generalises worse",
        TrendWithRate(HELD_OUT_ACCURACY, FALLS, among=LEARNS),
    ),
    Claim(
        Question.Q1,
        "A lower learning rate is stable and steady",
        TrendWithRate(LARGEST_RISE, RISES, among=CONVERGES),
    ),
    Claim(
        Question.Q1,
        "A lower learning rate generalises better",
        TrendWithRate(HELD_OUT_ACCURACY, FALLS, among=LEARNS),
    ),
    Claim(
        Question.Q1,
        "A lower learning rate needs more iterations",
        TrendWithRate(STEPS_TO_90, FALLS, among=CONVERGES),
    ),
    Claim(Question.Q1, "A lower learning rate gets stuck", BelowLowestLossStuck()),
    Claim(
        Question.Q1,
        "A lower learning rate is sensitive to initialisation",
        TrendWithRate(SEED_VARIATION, FALLS, among=CONVERGES),
    ),
    Claim(
        Question.Q2,
        "A larger batch has less noisy gradients",
        TrendWithSize(NOISE_TO_SIGNAL, FALLS),
    ),
    Claim(Question.Q2, "A larger batch overfits", TrendWithSize(GAP, RISES)),
    Claim(Question.Q2, "A larger batch generalises worse", TrendWithSize(HELD_OUT_ACCURACY, FALLS)),
    Claim(Question.Q2, "A larger batch ends in sharp minima", TrendWithSize(SHARPNESS, RISES)),
    Claim(
        Question.Q2, "A smaller batch generalises better", TrendWithSize(HELD_OUT_ACCURACY, FALLS)
    ),
    Claim(Question.Q2, "A smaller batch explores more", TrendWithSize(DISTANCE, FALLS)),
    Claim(
        Question.Q2, "A smaller batch has noisier gradients", TrendWithSize(NOISE_TO_SIGNAL, FALLS)
    ),
    Claim(Question.Q2, "A smaller batch converges more slowly", TrendWithSize(EPOCHS_TO_90, FALLS)),
    Claim(Question.Q2, "A smaller batch needs more steps", TrendWithSize(STEPS_TO_90, FALLS)),
]


def judge_claims(runs: StudyRuns) -> list[JudgedClaim]:
    """Judge each claim by the runs of the studies."""
    return [judge_claim(claim, runs) for claim in CLAIMS]


def judge_claim(claim: Claim, runs: StudyRuns) -> JudgedClaim:
    finding = claim.rule.judge(runs)
    is_undecided = finding.verdict is Verdict.UNDECIDED
    return JudgedClaim(
        question=claim.question,
        claim=claim.text,
        rule=claim.rule.describe(),
        figures=finding.figures,
        verdict=finding.verdict,
        would_decide=claim.rule.would_decide() if is_undecided else None,
    )
