"""The deps in dvc.yaml name every module of ours that a stage imports: DVC traces no import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

REPO = Path(__file__).resolve().parents[2]
STAGES = YAML(typ="safe").load(REPO / "dvc.yaml")["stages"]


def imported(path: str) -> set[str]:
    """`path` and all of our modules that it imports, directly or through another."""
    package = f"{path.split('/')[0]}/__init__.py"
    found = {path, package} if (REPO / package).exists() else {path}
    for node in ast.walk(ast.parse((REPO / path).read_text())):
        match node:
            case ast.ImportFrom(module=str(module)):
                names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            case ast.Import():
                names = [alias.name for alias in node.names]
            case _:
                continue
        for name in names:
            file = f"{name.replace('.', '/')}.py"
            if name.startswith(("src.", "stages.")) and (REPO / file).exists():
                found |= imported(file)
    return found


@pytest.mark.parametrize("name", STAGES)
def test_deps_name_every_module_that_the_stage_imports(name: str) -> None:
    stage = STAGES[name].get("do", STAGES[name])
    modules = {dep for dep in stage["deps"] if dep.endswith(".py")}
    assert modules == imported(f"stages/{name}.py")


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_says_what_it_does_and_needs_no_shell(name: str) -> None:
    stage = STAGES[name].get("do", STAGES[name])
    assert stage["desc"]
    assert stage["cmd"].split(" ${key}")[0] == f"python -m stages.{name}"


@pytest.mark.parametrize("name", ["scale", "compare"])
def test_a_stage_that_needs_no_torch_does_not_import_it(name: str) -> None:
    code = f"import sys, stages.{name}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)
