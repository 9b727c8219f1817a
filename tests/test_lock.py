"""requirements.lock against pyproject.toml: `make lock` makes one of the other."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPO = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())
DIRECT = [
    Requirement(text)
    for text in PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
]
# Each pin with the lines below it, which say what it is for; some names have a pin for each Python.
PINS = [
    (Requirement(pin), why)
    for pin, why in re.findall(
        r"^(\w.*)\n((?: +#.*\n)+)", (REPO / "requirements.lock").read_text(), re.MULTILINE
    )
]
LEFT_OUT = set(PROJECT["tool"]["uv"]["pip"]["no-emit-package"])


def is_locked(wanted: Requirement, here: bool) -> bool:
    """Whether the pins of that name (or only those for this machine) are all in its range."""
    pins = [
        pin
        for pin, _ in PINS
        if canonicalize_name(pin.name) == canonicalize_name(wanted.name)
        and not (here and pin.marker and not pin.marker.evaluate())
    ]
    versions = [next(iter(pin.specifier)).version for pin in pins]
    return bool(versions) and all(version in wanted.specifier for version in versions)


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_every_dependency_is_locked_inside_its_range(requirement: Requirement) -> None:
    assert is_locked(requirement, here=False)


def test_no_dependency_is_locked_that_pyproject_does_not_name() -> None:
    named = {canonicalize_name(requirement.name) for requirement in DIRECT}
    locked = {canonicalize_name(pin.name) for pin, why in PINS if "(pyproject.toml" in why}
    assert locked == named


def needed(requirement: Requirement, seen: set[tuple[str, str]]) -> Iterator[Requirement]:
    """`requirement` and what it needs on this machine, as the installed packages say."""
    yield requirement
    name = canonicalize_name(requirement.name)
    for extra in ("", *requirement.extras):
        if name in LEFT_OUT or (name, extra) in seen:
            continue
        seen.add((name, extra))
        for text in importlib.metadata.requires(name) or []:
            further = Requirement(text)
            if further.marker is None or further.marker.evaluate({"extra": extra}):
                yield from needed(further, seen)


def test_what_the_dependencies_need_in_turn_is_locked_too() -> None:
    seen: set[tuple[str, str]] = set()
    for direct in DIRECT:
        for requirement in needed(direct, seen):
            left_out = canonicalize_name(requirement.name) in LEFT_OUT
            assert left_out or is_locked(requirement, here=True), requirement
    assert len(seen) > 100
