"""Print which stages `mri-stages repro` would run, why, and how long each took last time.

Nothing runs. DVC hashes what has changed, so the reasons are facts, and no forecast.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from mri_stages.config.environment import check_environment
from mri_stages.config.loading import read_params
from mri_stages.console import OneLineParser, format_count, list_some
from mri_stages.orchestration.durations import Duration, format_seconds, read_last_durations
from mri_stages.orchestration.dvc_changes import Change, ChangeKind
from mri_stages.orchestration.graph import LOAD
from mri_stages.orchestration.plan import PlannedStage, plan_stages, sum_seconds_by_host
from mri_stages.orchestration.raw_folder import check_raw_folder


def main(argv: Sequence[str]) -> None:
    parser = OneLineParser("mri-stages plan", description=__doc__)
    names_help = "such as report, train, train@conv_nn2, FILE:STAGE; none: all of dvc.yaml"
    parser.add_argument("name", nargs="*", help=names_help)
    names = parser.parse_args(argv).name

    # What `repro` refuses before it starts a stage.
    params = read_params()
    check_environment()
    plan = asyncio.run(plan_stages(names))
    if LOAD in plan and not plan[LOAD].earlier_stages:
        check_raw_folder(params)
    if not plan:
        print("all of it is up to date")
        return
    durations = read_last_durations()
    for line in (*describe_plan(plan, durations), "", *describe_sums(plan, durations)):
        print(line)


def describe_plan(
    plan: Mapping[str, PlannedStage], durations: Mapping[str, Duration]
) -> Iterator[str]:
    """Yield a line for each stage, and below it one for each reason."""
    for stage, planned in plan.items():
        yield f"{stage}: {describe_cost(stage, planned, durations)}"
        for text in describe_changes(planned.changes):
            yield f"  {text}"
        if planned.earlier_stages:
            verb = "runs" if len(planned.earlier_stages) == 1 else "run"
            reason = f"  because {list_some(planned.earlier_stages)} {verb} first"
            condition = "; may stay as it is if its outs do not change" if planned.may_stay else ""
            yield f"{reason}{condition}"


def describe_changes(changes: Sequence[Change]) -> Iterator[str]:
    """Yield a text for each change; one for all outs with the same fault."""
    out_names: dict[str, list[str]] = {}
    for change in changes:
        if change.kind is ChangeKind.RUNNING:
            continue  # The line of its stage says so.
        if change.kind is ChangeKind.OUT:
            out_names.setdefault(change.state, []).append(change.name)
        else:
            yield change.describe()
    for state, names in out_names.items():
        yield Change(ChangeKind.OUT, list_some(names), state).describe()


def describe_cost(stage: str, planned: PlannedStage, durations: Mapping[str, Duration]) -> str:
    """Return what bringing a stage up to date takes, by its last run."""
    if planned.is_restored:
        return "restored, not run"
    if planned.is_running:
        return "runs now"
    if stage not in durations:
        return "no known time"
    return f"{format_seconds(durations[stage].seconds)} last time"


def describe_sums(
    plan: Mapping[str, PlannedStage], durations: Mapping[str, Duration]
) -> Iterator[str]:
    """Yield how many stages there are, and the seconds of each machine's last runs."""
    n_restored = sum(planned.is_restored for planned in plan.values())
    n_staying = sum(planned.may_stay for planned in plan.values())
    staying = "1 may stay as it is" if n_staying == 1 else f"{n_staying} may stay as they are"
    yield f"{format_count(len(plan), 'stage')}: {n_restored} restored, {staying}"
    for host, (least, most) in sum_seconds_by_host(plan, durations).items():
        yield (
            f"last time on {host or 'an unknown machine'}: {format_seconds(least)}, or "
            f"{format_seconds(most)} with those that may stay"
        )
    unknown_stages = [
        stage
        for stage, planned in plan.items()
        if stage not in durations and not planned.is_restored and not planned.is_running
    ]
    if unknown_stages:
        yield f"no known time: {list_some(unknown_stages)}"
