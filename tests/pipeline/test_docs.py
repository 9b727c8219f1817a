"""The commands in README, CONTRIBUTING and docs run as they are written, section by section."""

import re
import shutil
import sys

import pytest
from PIL import Image
from tests.conftest import REPO, write_raw
from tests.pipeline.conftest import Clone

PAGES = [REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").glob("*.md"))]
PROGRAMS = "cp|dask|dvc|git|jupyter|make|pip|python3?|sbatch|sed|ssh|uv"
COMMAND = re.compile(rf"(?:\.|[A-Z_]+=\S+|{PROGRAMS}) \S.*")
# Commands that run in other files: how they begin, and the file that has these words.
ELSEWHERE = {
    "make run": "tests/pipeline/test_dvc_verbs.py",
    "make studies": "tests/pipeline/conftest.py",
    **dict.fromkeys(("make test", "make test-cpu", "make test-faults"), ".ci/run"),
    **dict.fromkeys(("dvc exp run", "dvc exp apply"), "tests/pipeline/test_dvc_verbs.py"),
    "sed -i.bak '/^  conv_nn2:/": "tests/pipeline/test_pipeline.py",
}
# What a reader replaces, and what keeps the test short: small images, few stages.
REPLACED = {
    r"\. \.venv": f". {sys.prefix}",
    r"\bURL\b": "../origin.git",
    r"\bM\b": "resnet",
    r"NAME\.\.\.": "report",
    "SOURCE": "archive.zip",
    "64 56": "36 36",
    "mri-stages repro$": "mri-stages repro scale",
}


def commands(text: str) -> list[str]:
    """Return the commands of a page or section, without paragraphs that say 'not run'."""
    text = re.sub(r"^```python\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^```.*\n", "", text, flags=re.MULTILINE)
    found = []
    for paragraph in text.split("\n\n"):
        if "not run" not in paragraph.lower():
            found += re.findall(r"^\$ (.+?)(?: +#.*)?$", paragraph, re.MULTILINE)
            codes = [" ".join(code.split()) for code in re.findall("`([^`]+)`", paragraph)]
            found += filter(COMMAND.fullmatch, codes)
    return [command for command in found if not command.startswith("#")]


def scripts() -> dict[str, list[str]]:
    """Return the commands of each section, those that an earlier one has left out."""
    found, seen = {}, set()
    elsewhere = re.compile(f"({'|'.join(map(re.escape, ELSEWHERE))})(?![\\w-])")
    for page in PAGES:
        for section in re.split("^## ", page.read_text(), flags=re.MULTILINE):
            title = f"{page.stem}: {section.splitlines()[0]}"
            new = [c for c in dict.fromkeys(commands(section)) if c not in seen]
            seen |= {*new}
            if script := [command for command in new if not elsewhere.match(command)]:
                found[title] = script
    return found


SCRIPTS = scripts()


@pytest.fixture(scope="module")
def reader(finished: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone with a Git server, a DVC remote and the files that readers bring."""
    folder = tmp_path_factory.mktemp("reader") / "clone"
    clone = finished.copy(folder)
    clone.shell("git init --quiet --bare ../origin.git; git remote add origin ../origin.git")
    clone.shell("git push --quiet --set-upstream origin HEAD")
    clone.shell(
        f"dvc remote add --quiet --default --local store {folder.with_name('store')}; dvc push"
    )
    write_raw(folder / "WHERE/YOUR/TENSORS/ARE", shape=(3, 36, 36), classes=("A", "B", "C"))
    shutil.copy(folder / "WHERE/YOUR/TENSORS/ARE/test_data.pt", folder / "more.pt")
    for place in (".", "FOLDER", "set/train/A", "set/train/B", "set/test/A", "set/test/B"):
        (folder / place).mkdir(parents=True, exist_ok=True)
        Image.effect_noise((36, 36), 50).save(folder / place / "scan.png")
    shutil.make_archive(str(folder / "archive"), "zip", folder / "set")
    (folder / "ids.csv").write_text("file,subject\nFOLDER/scan.png,1\n")
    return clone


@pytest.mark.parametrize("section", SCRIPTS)
def test_the_commands_of_a_section_run(reader: Clone, section: str) -> None:
    script = "\n".join(SCRIPTS[section])
    for old, new in REPLACED.items():
        script = re.sub(old, new, script, flags=re.MULTILINE)
    reader.copy(reader.folder.with_name(re.sub(r"\W+", "-", section))).shell(script)


@pytest.mark.parametrize("start", ELSEWHERE)
def test_commands_that_run_elsewhere_are_there(start: str) -> None:
    assert start in (REPO / ELSEWHERE[start]).read_text()
