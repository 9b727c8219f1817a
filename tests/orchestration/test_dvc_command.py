"""DVC's command with our writer of dvc.lock: the bytes are those of DVC's own."""

import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from dvc.dvcfile import Lockfile
from dvc.utils.serialize import dumps_yaml, loads_yaml, modify_yaml

from mri_stages.orchestration.dvc import DVC_COMMAND
from mri_stages.orchestration.dvc_command import modify_file, split_sections
from tests.helpers.dvc_projects import shell_stage, write_project

pytestmark = pytest.mark.usefixtures("workspace")

Modify = Callable[[str], AbstractContextManager[dict[str, Any]]]

PARAMS = {
    "nothing": None,
    "small": 1e-8,
    "text": "1e-8",
    "names": ["ä: b", "🧠", "x " * 90, "a\nb"],
}
ENTRY = {"cmd": "python -m x", "params": {"params.yaml": PARAMS}, "outs": [{"path": "x"}]}
NAMES = ["first", "train@a-b", "last"]
LOCK = dumps_yaml({"schema": "2.0", "stages": {name: deepcopy(ENTRY) for name in NAMES}})


def modify_lock(text: str, modify: Modify, **entries: dict[str, Any]) -> str:
    """Return the text of a dvc.lock after a change of these entries."""
    path = Path("dvc.lock")
    path.write_text(text, encoding="utf-8")
    with modify(str(path)) as content:
        content["stages"].update(entries)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["first", "last", "new", "1"])
def test_lock_has_the_bytes_of_dvc(name: str) -> None:
    entry = {"cmd": "python -m y", "params": {"params.yaml": PARAMS | {"nothing": 1.5}}}
    text = modify_lock(LOCK, modify_file, **{name: entry})
    assert text == modify_lock(LOCK, modify_yaml, **{name: entry})
    assert text != LOCK


def test_lock_without_a_stage_has_the_bytes_of_dvc() -> None:
    texts = []
    for modify in (modify_file, modify_yaml):
        path = Path("dvc.lock")
        path.write_text(LOCK, encoding="utf-8")
        with modify(str(path)) as content:
            del content["stages"]["first"]
        texts.append(path.read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert list(split_sections(texts[0])) == NAMES[1:]


def test_lock_that_cannot_be_written_stays_as_it_was(workspace: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = Path("dvc.lock")
    path.write_text(LOCK, encoding="utf-8")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        with pytest.raises(OSError, match="large"), modify_file(str(path)) as content:
            content["stages"]["new"] = ENTRY
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text(encoding="utf-8") == LOCK
    assert not list(workspace.glob("*.partial"))


def test_lock_of_another_form_is_left_to_dvc() -> None:
    text = LOCK.replace("  last:", "  # A comment.\n  last:")
    assert modify_lock(text, modify_file, new=ENTRY) == modify_lock(text, modify_yaml, new=ENTRY)


def test_other_file_keeps_its_comments() -> None:
    path = Path("dvc.yaml")
    path.write_text("# A comment.\nstages: {}\n", encoding="utf-8")
    with modify_file(str(path)) as content:
        content["stages"]["new"] = {"cmd": "true"}
    assert path.read_text(encoding="utf-8").startswith("# A comment.")


def test_split_sections_of_all_stages() -> None:
    sections = split_sections(LOCK)
    assert list(sections) == NAMES
    assert loads_yaml(sections["last"]) == {"last": ENTRY}


def test_dvc_writes_its_lock_by_the_replaced_function() -> None:
    assert modify_yaml.__name__ in Lockfile.dump_stages.__code__.co_names


def test_command_locks_as_dvc_does(workspace: Path) -> None:
    write_project(a=shell_stage("echo 1 > a", "a"), b=shell_stage("cat a > b", "b", "a"))
    subprocess.run([sys.executable, "-P", DVC_COMMAND, "repro", "--quiet"], check=True)
    text = Path("dvc.lock").read_text(encoding="utf-8")
    assert list(loads_yaml(text)["stages"]) == ["a", "b"]
    assert text == dumps_yaml(loads_yaml(text))
    assert not list(workspace.glob("*.partial"))
