"""The deps in dvc.yaml name all of our code that decides a stage's bytes: DVC traces no import."""

import ast
from typing import Any

import pytest
import yaml
from tests.conftest import REPO

# Values are params, places are outs, the console only prints, and a package is not its contents.
NOT_TRACKED = (
    "src/mri_stages/__init__.py",
    "src/mri_stages/config/",
    "src/mri_stages/console.py",
    "src/mri_stages/errors.py",
    "src/mri_stages/paths.py",
    "stages/__init__.py",
)


def stages_of(file: str) -> dict[str, dict[str, Any]]:
    stages = yaml.safe_load((REPO / file).read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


STUDIES = stages_of("studies/dvc.yaml")
STAGES = stages_of("dvc.yaml") | STUDIES


def find_module(name: str) -> str | None:
    """Return the file of a module of ours, relative to the project's root."""
    for folder in ("src/", ""):
        for end in (".py", "/__init__.py"):
            file = f"{folder}{name.replace('.', '/')}{end}"
            if (REPO / file).is_file():
                return file
    return None


def list_imports(file: str, files: set[str] | None = None) -> set[str]:
    """Return `file` and the files of ours that it imports, directly or through another."""
    files = set() if files is None else files
    files.add(file)
    names = set()
    for node in ast.walk(ast.parse((REPO / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    for name in names:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            module = find_module(".".join(parts[:length]))
            if module is not None and module not in files:
                list_imports(module, files)
    return files


def is_covered(file: str, deps: list[str]) -> bool:
    return any(file == dep or file.startswith(f"{dep}/") for dep in deps)


@pytest.mark.parametrize("name", STAGES)
def test_deps_name_the_code_of_a_stage(name: str) -> None:
    module = STAGES[name]["cmd"].split()[2]
    imports = list_imports(f"{module.replace('.', '/')}.py")
    files = {file for file in imports if not file.startswith(NOT_TRACKED)}
    deps = [dep for dep in STAGES[name]["deps"] if dep.startswith(("src/", "stages/"))]
    assert [file for file in sorted(files) if not is_covered(file, deps)] == []
    unused = {dep for dep in deps if not any(is_covered(file, [dep]) for file in files)}
    # An architecture is imported by its name in params.yaml.
    key = {"train": "item.arch", "evaluate": "item.arch", "cross_validate": "item"}.get(name)
    architecture = f"src/mri_stages/models/${{{key}}}.py"
    assert unused == ({architecture} if key else set())
    assert architecture not in deps or "src/mri_stages/models" not in deps


def test_outs_of_the_studies_lie_in_git() -> None:
    outs = [o for s in STUDIES.values() for kind in ("outs", "plots") for o in s.get(kind, [])]
    assert all(isinstance(out, dict) for out in outs)
    for path, options in (item for out in outs for item in out.items()):
        assert path.startswith("studies/")
        assert options["cache"] is False


def test_train_depends_on_no_picture_or_metric() -> None:
    others = {f"src/mri_stages/{name}" for name in ("ingest", "evaluation", "plotting")}
    assert not others & {*STAGES["train"]["deps"]}


def test_a_study_depends_on_no_list_of_values() -> None:
    for name in ("seed", "learning_rate", "batch_size", "leakage"):
        params = {param for param in STUDIES[name]["params"] if param.startswith("studies")}
        assert params - {f"studies.{name}.model"} == {f"studies.{name}.seeds"}
