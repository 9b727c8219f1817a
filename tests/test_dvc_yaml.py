"""The deps and params in dvc.yaml name all that decides a stage's bytes: DVC traces no import."""

import ast
from pathlib import Path

import pytest
import yaml

from tests.helpers.dvc_yaml import Definition, read_all_definitions, read_definitions
from tests.helpers.project import REPO

# Values are params, places are outs, the console only prints, and a package is not its contents.
NOT_TRACKED = (
    "src/mri_stages/__init__.py",
    "src/mri_stages/config/",
    "src/mri_stages/console.py",
    "src/mri_stages/errors.py",
    "src/mri_stages/paths.py",
    "stages/__init__.py",
)

# It imports a public name when somebody uses it, and no stage does.
PUBLIC_FACE = "src/mri_stages/__init__.py"

# The stages that import an architecture by its name in params.yaml, and the dep that names it.
ARCHITECTURE_DEPS = {
    "train": "src/mri_stages/models/${item.arch}.py",
    "evaluate": "src/mri_stages/models/${item.arch}.py",
    "cross_validate": "src/mri_stages/models/${item}.py",
    "probe": "src/mri_stages/models/${item}.py",
}

# Where the name of a package differs from the name that code imports.
PACKAGE_NAMES = {"PIL": "pillow", "sklearn": "scikit-learn"}
# Packages that work behind another one: Matplotlib writes its PNGs with Pillow.
IMPLIED_PACKAGES = {"matplotlib": {"pillow"}, "torch.onnx": {"onnx", "onnxscript"}}
# Packages whose versions a page shows.
SHOWN_PACKAGES = {"report": {"torch", "scikit-learn"}}

STUDIES = read_definitions("studies/dvc.yaml")
STAGES = read_all_definitions()


def find_module(name: str) -> str | None:
    """Return the file of a module of this project, relative to its root; None of another one."""
    for folder in ("src/", ""):
        for ending in (".py", "/__init__.py"):
            file = f"{folder}{name.replace('.', '/')}{ending}"
            if (REPO / file).is_file():
                return file
    return None


def list_imported_names(file: str) -> set[str]:
    """Return the dotted names that a file imports: modules, and what is taken from them."""
    names = set()
    for node in ast.walk(ast.parse((REPO / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def list_imported_modules(file: str) -> set[str]:
    """Return the files of this project that a file imports, and their packages' __init__.py."""
    modules = set()
    for name in list_imported_names(file):
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            module = find_module(".".join(parts[:length]))
            if module is not None:
                modules.add(module)
    return modules


def list_code(stage: Definition) -> set[str]:
    """Return the files of this project that decide a stage's bytes, through all imports."""
    module = find_module(stage["cmd"].split()[2])
    assert module is not None
    code: set[str] = set()
    waiting = {module}
    while waiting:
        file = waiting.pop()
        code.add(file)
        if file != PUBLIC_FACE:
            waiting |= list_imported_modules(file) - code
    return {file for file in code if not file.startswith(NOT_TRACKED)}


def list_packages(stage: Definition) -> set[str]:
    """Return the packages of environment.yaml that a stage's code imports, and implied ones."""
    known: dict[str, str] = yaml.safe_load((REPO / "environment.yaml").read_text(encoding="utf-8"))
    packages = set()
    for file in list_code(stage):
        for name in list_imported_names(file):
            top = name.partition(".")[0]
            packages.add(PACKAGE_NAMES.get(top, top))
            for prefix, implied in IMPLIED_PACKAGES.items():
                if name.startswith(prefix):
                    packages |= implied
    return packages & known.keys()


def list_named_packages(stage: Definition) -> list[str]:
    """Return the keys of environment.yaml that a stage's params name."""
    for param in stage["params"]:
        if isinstance(param, dict):
            packages: list[str] = param["environment.yaml"]
            return packages
    return []


def list_code_deps(stage: Definition) -> list[str]:
    return [dep for dep in stage["deps"] if dep.startswith(("src/", "stages/"))]


def is_covered(file: str, deps: list[str]) -> bool:
    return any(file == dep or file.startswith(f"{dep}/") for dep in deps)


@pytest.mark.parametrize("name", STAGES)
def test_deps_name_the_code_of_a_stage(name: str) -> None:
    deps = list_code_deps(STAGES[name])
    missing = [file for file in sorted(list_code(STAGES[name])) if not is_covered(file, deps)]
    assert missing == []


@pytest.mark.parametrize("name", STAGES)
def test_deps_name_no_other_code(name: str) -> None:
    code = list_code(STAGES[name])
    deps = list_code_deps(STAGES[name])
    unused = {dep for dep in deps if not any(is_covered(file, [dep]) for file in code)}
    expected = {ARCHITECTURE_DEPS[name]} if name in ARCHITECTURE_DEPS else set()
    assert unused == expected


@pytest.mark.parametrize("name", [*ARCHITECTURE_DEPS, "export"])
def test_deps_name_no_unused_architecture(name: str) -> None:
    assert "src/mri_stages/models" not in STAGES[name]["deps"]


@pytest.mark.parametrize("name", STAGES)
def test_params_name_the_packages_of_a_stage(name: str) -> None:
    named = list_named_packages(STAGES[name])
    assert set(named) == list_packages(STAGES[name]) | SHOWN_PACKAGES.get(name, set())
    assert len(named) == len(set(named))


def test_outs_of_the_studies_lie_in_git() -> None:
    for stage in STUDIES.values():
        for out in stage.get("outs", []) + stage.get("plots", []):
            ((path, options),) = out.items()
            assert path.startswith("studies/")
            assert options["cache"] is False


def test_train_depends_on_no_picture_or_metric() -> None:
    for name in ("ingest", "evaluation", "plotting"):
        assert f"src/mri_stages/{name}" not in STAGES["train"]["deps"]


@pytest.mark.parametrize("name", ["seed", "learning_rate", "batch_size", "leakage"])
def test_a_study_depends_on_no_list_of_values(name: str) -> None:
    params = {param for param in STUDIES[name]["params"] if str(param).startswith("studies")}
    assert params - {f"studies.{name}.model"} == {f"studies.{name}.seeds"}


def test_every_stage_is_a_module() -> None:
    for stage in STAGES.values():
        module = stage["cmd"].split()[2]
        assert Path(REPO, f"{module.replace('.', '/')}.py").is_file()
