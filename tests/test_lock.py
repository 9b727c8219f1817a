"""requirements.lock against pyproject.toml: `make lock` makes one of the other."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.project import REPO

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())
WANTED = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
LOCK = (REPO / "requirements.lock").read_text()


def test_lock_pins_every_dependency_in_its_range() -> None:
    named = {canonicalize_name(r.name): r.specifier for r in map(Requirement, WANTED)}
    # Each pin has lines below it that say what it is for; some names have one for each Python.
    pin_texts = re.findall(r"^(\w.*)\n((?: +#.*\n)+)", LOCK, re.MULTILINE)
    pins = [Requirement(pin) for pin, why in pin_texts if "(pyproject.toml" in why]
    assert {canonicalize_name(pin.name) for pin in pins} == named.keys()
    for pin in pins:
        (version,) = pin.specifier
        assert version.version in named[canonicalize_name(pin.name)], pin
    assert len(pin_texts) > 100
