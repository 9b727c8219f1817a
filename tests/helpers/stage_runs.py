"""Runs of stages, for tests of what reads their history."""

from datetime import UTC, datetime

from mri_stages.config.param_changes import ChangedParam
from mri_stages.config.run_history import RunResult, StageRun


def make_run(
    stage: str = "train@net",
    seconds: float = 1.5,
    result: RunResult = RunResult.DONE,
    changed_params: tuple[ChangedParam, ...] = (),
) -> StageRun:
    """Return a run of a stage on the host `here`."""
    return StageRun(
        time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        stage=stage,
        result=result,
        seconds=seconds,
        cpu_seconds=seconds,
        peak_mb=200,
        host="here",
        commit="0123456789ab-dirty",
        changed_params=list(changed_params),
    )
