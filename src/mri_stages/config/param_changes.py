"""Name the params that differ between two runs, with their old and new values."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict

from mri_stages.console import make_printable

ABSENT = "(absent)"  # in place of a value that one of two runs lacks
MAX_VALUE_LENGTH = 40  # of a param, as it is shown


class ChangedParam(BaseModel):
    """A param that has another value than in an earlier run."""

    model_config = ConfigDict(frozen=True)

    name: str
    old: Any
    new: Any

    def describe_values(self) -> str:
        """Return the old and the new value, as they are shown."""
        return f"{format_param(self.old)} -> {format_param(self.new)}"


def compare_params(key: str, old: Any, new: Any) -> Iterator[ChangedParam]:
    """Yield the changes of a param; of a group, those of each key that differs."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield ChangedParam(name=key, old=old, new=new)
        return
    for name in dict.fromkeys((*old, *new)):
        yield from compare_params(f"{key}.{name}", old.get(name, ABSENT), new.get(name, ABSENT))


def format_param(value: Any) -> str:
    """Return a value of params.yaml in one short text."""
    text = str(value)
    if not isinstance(value, str):
        with suppress(TypeError):  # A key is a date, which YAML allows.
            text = json.dumps(value, ensure_ascii=False, default=str)
    line = make_printable(text)
    is_long = len(line) > MAX_VALUE_LENGTH
    return f"{line[: MAX_VALUE_LENGTH - 3]}..." if is_long else line
