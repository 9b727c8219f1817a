"""How a stage ended: on this machine, or on a worker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

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
    """By one worker; another one may run the stage."""
    NOT_RUN = "not run"
    """Because a stage that it depends on is not up to date."""

    @property
    def is_current(self) -> bool:
        """Whether the outs of the stage match its deps."""
        return self in (Status.DONE, Status.RESTORED, Status.UP_TO_DATE)

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
    """Why it failed or was refused; of a worker, all that the stage printed."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Small outs of a worker by their MD5."""


def list_outdated_stages(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the stages that are not up to date."""
    return [stage for stage, outcome in outcomes.items() if not outcome.status.is_current]


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
