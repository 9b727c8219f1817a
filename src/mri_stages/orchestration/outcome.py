"""How a stage ended: on this machine, or on a worker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from mri_stages.orchestration.dvc import find_stage_error

HERE = "this machine"


class Status(Enum):
    """What became of a stage; the value is the word that a user reads."""

    DONE = "done"
    RESTORED = "restored"
    """From DVC's run cache: nothing was computed."""
    UP_TO_DATE = "up to date"
    FAILED = "failed"
    NO_MEMORY = "not enough memory"
    REFUSED = "refused"
    """By one worker, another one may run the stage; or by all of them."""
    STOPPED = "stopped"
    """By somebody: Ctrl-C, SIGTERM, or the end of its terminal."""
    NOT_RECORDED = "not recorded"
    """DVC itself failed before or after the stage, whose outs may be whole: they stay."""
    NOT_RUN = "not run"
    """Because a stage that it depends on is not up to date."""
    NO_RESULT = "no result"
    """Because another stage of the same model failed: the outs were removed."""
    UNFIT = "images do not fit"
    """The model cannot take the images: the stage was not started."""
    UNUSABLE = "cannot be used"
    """The file of the model's architecture cannot: the stage was not started."""
    SKIPPED = "skipped"
    """The user asked for it: the stage is slow, or depends on a slow one."""

    @property
    def is_current(self) -> bool:
        """Whether the outs of the stage match its deps."""
        return self in (Status.DONE, Status.RESTORED, Status.UP_TO_DATE)

    @property
    def is_failure(self) -> bool:
        """Whether the stage itself ran, or would run, in vain."""
        return not self.is_current and self not in (
            Status.REFUSED,
            Status.STOPPED,
            Status.NOT_RECORDED,
            Status.NOT_RUN,
            Status.NO_RESULT,
            Status.SKIPPED,
        )

    @property
    def has_new_outs(self) -> bool:
        """Whether the stages that depend on this one have to be looked at again."""
        return self in (Status.DONE, Status.RESTORED)


@dataclass(frozen=True)
class Outcome:
    """How one stage ended."""

    status: Status
    where: str = ""
    """A worker's address, `HERE`, or empty where nothing was started."""
    seconds: float = 0.0
    text: str = ""
    """Why it is not up to date; of a stage that ran and failed, all that it printed."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Small outs of a worker by their MD5."""
    is_for_stage: bool = False
    """Whether a worker refused this stage alone: it may run other ones."""


def list_outdated_stages(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the stages that are not up to date."""
    return [stage for stage, outcome in outcomes.items() if not outcome.status.is_current]


def list_skipped_stages(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the stages that were left out as the user asked."""
    return [stage for stage, outcome in outcomes.items() if outcome.status is Status.SKIPPED]


def format_outdated_stages(outcomes: Mapping[str, Outcome]) -> str:
    """Return a table with a row for each stage that is not up to date, and why."""
    lines = [f"{'stage':36} {'outcome':18} why"]
    for stage in list_outdated_stages(outcomes):
        outcome = outcomes[stage]
        reason = find_stage_error(outcome.text)
        lines.append(f"{stage:36} {outcome.status.value:18} {reason}")
    return "\n".join(lines)


def format_table(outcomes: Mapping[str, Outcome]) -> str:
    """Return a table with a row for each stage that was started; "" where none was."""
    lines = []
    for stage, outcome in outcomes.items():
        if outcome.where:
            status = outcome.status.value
            lines.append(f"{stage:36} {outcome.where:26} {status:18} {outcome.seconds:7.0f}")
    if not lines:
        return ""
    header = f"{'stage':36} {'where':26} {'outcome':18} seconds"
    return "\n".join([header, *lines])
