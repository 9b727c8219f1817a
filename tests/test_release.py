"""What the workflow that releases takes for granted."""

import re
import tomllib

import yaml

from tests.helpers.project import REPO

TEXT = (REPO / ".github/workflows/release.yml").read_text(encoding="utf-8")


def test_release_pins_actions_by_commit() -> None:
    steps = yaml.safe_load(TEXT)["jobs"]["release"]["steps"]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert actions
    assert [action for action in actions if not re.search("@[0-9a-f]{40}$", action)] == []


def test_release_version_is_that_of_the_citation() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((REPO / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == project["version"]


def test_release_build_tool_is_locked() -> None:
    lock = (REPO / "requirements.lock").read_text(encoding="utf-8")
    assert re.search(r"^hatchling==[\d.]+$", lock, re.MULTILINE)
    assert "^hatchling==" in TEXT
