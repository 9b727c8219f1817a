"""Bring stages up to date, several at once: `mri-stages repro [NAME...]`.

Each stage runs by `dvc repro --single-item`, as soon as those that it depends on are up to date.
Stages of one model that follow one another share a process of DVC. If DASK_SCHEDULER_ADDRESS is
set, trainings run on the workers of that Dask scheduler. Where a stage of a model fails, the
model's later outs are removed, and the report is of the other models.
"""

import math
from collections.abc import Mapping, Sequence

from mri_stages.console import OneLineParser, exit_with_error
from mri_stages.errors import NO_MEMORY_STATUS, InputError
from mri_stages.orchestration.durations import parse_duration, skip_slow_stages
from mri_stages.orchestration.outcome import (
    Outcome,
    Status,
    format_outdated_stages,
    list_outdated_stages,
    list_skipped_stages,
)
from mri_stages.orchestration.reproduce import reproduce
from mri_stages.orchestration.signals import run_until_signal


def main(argv: Sequence[str]) -> None:
    parser = OneLineParser("mri-stages repro", description=__doc__)
    names_help = "such as report, train, train@conv_nn2, FILE:STAGE; none: all of dvc.yaml"
    parser.add_argument("name", nargs="*", help=names_help)
    parser.add_argument(
        "--skip-slow",
        metavar="DURATION",
        type=parse_duration,
        default=math.inf,
        help="leave out stages that took longer last time, such as 60s, 5m or 2h, and what depends "
        "on them; a result in the run cache is restored",
    )
    arguments = parser.parse_intermixed_args(argv)  # an option may stand between two names
    has_limit = arguments.skip_slow < math.inf
    slow_stages = skip_slow_stages(arguments.skip_slow) if has_limit else {}

    report(run_until_signal(reproduce(arguments.name, slow_stages)))


def report(outcomes: Mapping[str, Outcome]) -> None:
    """Say how the command ended; InputError, or another exit, where a stage is not up to date.

    Stages that were skipped as the user asked are named, and are no error.
    """
    outdated_stages = list_outdated_stages(outcomes)
    if outdated_stages:
        print(format_outdated_stages(outcomes), flush=True)

    skipped_stages = list_skipped_stages(outcomes)
    failed_stages = [stage for stage in outdated_stages if stage not in skipped_stages]
    if failed_stages:
        stages = [f"{stage} ({outcomes[stage].status.value})" for stage in failed_stages]
        message = f"not up to date: {', '.join(stages)}; see above"
        statuses = {outcomes[stage].status for stage in failed_stages}
        if statuses <= {Status.NO_MEMORY, Status.NOT_RUN, Status.NO_RESULT}:
            exit_with_error(message, NO_MEMORY_STATUS)
        raise InputError(message)

    if skipped_stages:
        print(
            f"skipped, so not up to date: {', '.join(skipped_stages)}; the same command without "
            "--skip-slow renews them"
        )
    elif not any(outcome.status.has_new_outs for outcome in outcomes.values()):
        print("all of it is up to date")
