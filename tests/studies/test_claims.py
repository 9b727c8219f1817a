from collections import Counter

from mri_stages.studies.claims import CLAIMS, Claim, Question, judge_claim, judge_claims
from mri_stages.studies.points import LrRule
from mri_stages.studies.rules import CONVERGES, LARGEST_RISE, Direction, TrendWithRate, Verdict
from mri_stages.studies.summary import StudyRuns, group_by_rate
from tests.helpers.study_runs import make_rate_runs

NO_RUNS = StudyRuns(seed={}, learning_rate={}, batch_size={rule: {} for rule in LrRule})
CLAIM = Claim(Question.Q1, "It rises", TrendWithRate(LARGEST_RISE, Direction.RISES, CONVERGES))


def test_claims_are_12_of_rates_and_9_of_sizes() -> None:
    assert Counter(claim.question for claim in CLAIMS) == {Question.Q1: 12, Question.Q2: 9}


def test_claims_each_stand_once() -> None:
    assert len({claim.text for claim in CLAIMS}) == len(CLAIMS)


def test_claims_name_their_subject() -> None:
    for claim in CLAIMS:
        subject = "learning rate" if claim.question is Question.Q1 else "batch"
        assert subject in claim.text


def test_judge_claims_without_runs_decides_nothing() -> None:
    assert {claim.verdict for claim in judge_claims(NO_RUNS)} == {Verdict.UNDECIDED}


def test_judge_claims_keeps_the_order() -> None:
    assert [claim.claim for claim in judge_claims(NO_RUNS)] == [claim.text for claim in CLAIMS]


def test_judge_claim_undecided_says_what_would_decide() -> None:
    judged = judge_claim(CLAIM, NO_RUNS)
    assert judged.would_decide == CLAIM.rule.would_decide()


def test_judge_claim_decided_has_verdict_rule_and_figures() -> None:
    rates = group_by_rate(make_rate_runs(largest_rise=lambda lr, seed: lr + seed / 1e6))
    judged = judge_claim(CLAIM, StudyRuns({}, rates, {}))
    assert judged.verdict is Verdict.HOLDS
    assert judged.would_decide is None
    assert judged.rule == CLAIM.rule.describe()
    assert judged.figures == CLAIM.rule.judge(StudyRuns({}, rates, {})).figures
