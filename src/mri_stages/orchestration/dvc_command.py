"""DVC's command, with a fast writer of dvc.lock: `python -P dvc_command.py ARGUMENTS`.

After each stage DVC parses the whole dvc.lock by a parser that keeps comments, and writes all of it
again. For this pipeline that takes longer than most stages. Here the text of the stages that did
not change stays as it is, and the file has the bytes that DVC would write. It needs no other module
of ours, so that it starts at once.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from dvc import dvcfile
from dvc.cli import main
from dvc.utils.serialize import dumps_yaml, load_yaml, modify_yaml

LOCK_NAME = "dvc.lock"
HEADER = "schema: '2.0'\nstages:\n"
SECTION_START = re.compile(r"^(?=  \S)", re.MULTILINE)


def modify_file(path: str, fs: Any = None) -> AbstractContextManager[dict[str, Any]]:
    """Yield the content of a YAML file, to be changed; write it at the end, as DVC's function does.

    A dvc.lock is written section by section, where it has the form in which DVC writes it.
    """
    file = Path(path)
    if file.name == LOCK_NAME and file.exists():
        content: dict[str, Any] = load_yaml(path)
        sections = split_sections(file.read_text(encoding="utf-8"))
        if list(content) == ["schema", "stages"] and list(sections) == list(content["stages"]):
            return modify_sections(file, content, sections)
    manager: AbstractContextManager[dict[str, Any]] = modify_yaml(path, fs=fs)
    return manager


def split_sections(text: str) -> dict[str, str]:
    """Return the text of each stage; nothing if the file does not begin as DVC writes it."""
    if not text.startswith(HEADER):
        return {}
    sections = {}
    for section in SECTION_START.split(text.removeprefix(HEADER))[1:]:
        name = section.partition(":\n")[0].strip()
        sections[name] = section
    return sections


@contextmanager
def modify_sections(
    path: Path, content: dict[str, Any], sections: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield the content; write the sections of those stages anew that have another entry then."""
    old_entries = dict(content["stages"])
    yield content
    for name, entry in content["stages"].items():
        if entry is not old_entries.get(name):
            sections[name] = dumps_yaml({"stages": {name: entry}}).removeprefix("stages:\n")

    # A process that is killed leaves the old file or the new one.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        text = HEADER + "".join(sections[name] for name in content["stages"])
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    dvcfile.modify_yaml = modify_file
    sys.exit(main(sys.argv[1:]))
