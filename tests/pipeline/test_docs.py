"""The commands in README, CONTRIBUTING and docs run as they are written, section by section."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.clones import Clone
from tests.helpers.project import REPO
from tests.helpers.raw_folders import write_raw

PAGES = [REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").glob("*.md"))]
PROGRAMS = "cp|dask|dvc|git|jupyter|make|mri-stages|pip|python3?|sbatch|sed|ssh|uv"
COMMAND = re.compile(rf"(?:\.|[A-Z_]+=\S+|{PROGRAMS}) \S.*")
CONSOLE_LINE = re.compile(r"^\$ (.+?)(?: +#.*)?$", re.MULTILINE)
PYTHON_BLOCK = re.compile(r"^```python\n.*?^```$", re.DOTALL | re.MULTILINE)

# Commands that run in other files: how they begin, and the file that has these words.
COMMANDS_ELSEWHERE = {
    "make run": "tests/pipeline/test_dvc_verbs.py",
    "make studies": "tests/pipeline/conftest.py",
    "make test": ".ci/run",
    "make test-cpu": ".ci/run",
    "make test-faults": ".ci/run",
    "dvc repro -f": "tests/faults/test_cache.py",
    "dvc exp run": "tests/pipeline/test_dvc_verbs.py",
    "dvc exp apply": "tests/pipeline/test_dvc_verbs.py",
    "mri-stages sweep": "tests/commands/test_sweep.py",
    "sed -i.bak '/^  conv_nn2:/": "tests/pipeline/test_pipeline.py",
}
BEGINS_ELSEWHERE = re.compile(f"({'|'.join(map(re.escape, COMMANDS_ELSEWHERE))})(?![\\w-])")

# What a reader replaces, and what keeps the test short: small images, few stages.
REPLACEMENTS = {
    r"\. \.venv": f". {sys.prefix}",
    r"\bURL\b": "../origin.git",
    r"\bM\b": "resnet",
    r"NAME\.\.\.": "report",
    "SOURCE": "archive.zip",
    "64 56": "36 36",
    "mri-stages repro$": "mri-stages repro scale",
}
IMAGE_FOLDERS = (".", "FOLDER", "set/train/A", "set/train/B", "set/test/A", "set/test/B")


def list_commands(text: str) -> list[str]:
    """Return the commands of a page or section, without paragraphs that say 'not run'."""
    text = PYTHON_BLOCK.sub("", text)
    text = re.sub(r"^```.*\n", "", text, flags=re.MULTILINE)

    commands = []
    for paragraph in text.split("\n\n"):
        if "not run" in paragraph.lower():
            continue
        commands += CONSOLE_LINE.findall(paragraph)
        for code in re.findall("`([^`]+)`", paragraph):
            line = " ".join(code.split())
            if COMMAND.fullmatch(line):
                commands.append(line)
    return [command for command in commands if not command.startswith("#")]


def list_scripts() -> dict[str, list[str]]:
    """Return the commands of each section, those that an earlier one has left out."""
    scripts = {}
    seen = set()
    for page in PAGES:
        for section in re.split("^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            title = f"{page.stem}: {section.splitlines()[0]}"
            script = []
            for command in list_commands(section):
                if command not in seen and not BEGINS_ELSEWHERE.match(command):
                    script.append(command)
                seen.add(command)
            if script:
                scripts[title] = script
    return scripts


SCRIPTS = list_scripts()


@pytest.fixture(scope="module")
def reader(finished: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone with a Git server, a DVC remote and the files that readers bring."""
    folder = tmp_path_factory.mktemp("reader") / "clone"
    clone = finished.copy(folder)
    clone.shell("git init --quiet --bare ../origin.git; git remote add origin ../origin.git")
    clone.shell("git push --quiet --set-upstream origin HEAD")
    store = folder.with_name("store")
    clone.shell(f"dvc remote add --quiet --default --local store {store}; dvc push")

    write_raw(folder / "WHERE/YOUR/TENSORS/ARE", shape=(3, 36, 36), classes=("A", "B", "C"))
    shutil.copy(folder / "WHERE/YOUR/TENSORS/ARE/test_data.pt", folder / "more.pt")
    write_external_set(
        finished.copy(folder.with_name("other")), folder / "WHERE/THE/EXTERNAL/SET/IS"
    )
    for place in IMAGE_FOLDERS:
        (folder / place).mkdir(parents=True, exist_ok=True)
        Image.effect_noise((36, 36), 50).save(folder / place / "scan.png")
    shutil.make_archive(str(folder / "archive"), "zip", folder / "set")
    (folder / "ids.csv").write_text("file,subject\nFOLDER/scan.png,1\n")
    return clone


def write_external_set(other: Clone, folder: Path) -> None:
    """Write a raw folder of phantoms of other subjects than the sample's, drawn in a clone."""
    other.change_params({"sample.seed": 1})
    other.run("python", "-m", "stages.sample")
    shutil.copytree(other.folder / "data/sample", folder)


@pytest.mark.slow
@pytest.mark.parametrize("section", SCRIPTS)
def test_commands_of_a_section_run(reader: Clone, section: str) -> None:
    script = "\n".join(SCRIPTS[section])
    for old, new in REPLACEMENTS.items():
        script = re.sub(old, new, script, flags=re.MULTILINE)
    folder_name = re.sub(r"\W+", "-", section)
    reader.copy(reader.folder.with_name(folder_name)).shell(script)


@pytest.mark.parametrize("beginning", COMMANDS_ELSEWHERE)
def test_commands_that_run_elsewhere_are_there(beginning: str) -> None:
    assert beginning in (REPO / COMMANDS_ELSEWHERE[beginning]).read_text()


def test_test_files_that_pages_name_exist() -> None:
    names = set()
    for page in PAGES:
        names |= set(re.findall(r"[\w/]*\btest_\w+\.py", page.read_text(encoding="utf-8")))
    assert names
    missing = [
        name for name in names if not (REPO / "tests" / name.removeprefix("tests/")).exists()
    ]
    assert missing == []
