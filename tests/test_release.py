"""What the workflows take for granted, above all the one that releases."""

import re
import tomllib

import pytest
import yaml

from tests.helpers.project import REPO

TEXT = (REPO / ".github/workflows/release.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["ci.yml", "release.yml"])
def test_workflow_pins_actions_by_commit(name: str) -> None:
    text = (REPO / ".github/workflows" / name).read_text(encoding="utf-8")
    actions = []
    for job in yaml.safe_load(text)["jobs"].values():
        actions += [step["uses"] for step in job["steps"] if "uses" in step]
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
