"""A stage runs only with the package versions that environment.yaml names."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from mri_stages.config.environment import check_environment, read_environment, run_stage
from mri_stages.errors import InputError
from tests.helpers.project import REPO

PYTHONS = ("3.11", "3.12", "3.13")


def write_versions(folder: Path, versions: object) -> Path:
    path = folder / "environment.yaml"
    path.write_text(yaml.safe_dump(versions))
    return path


@pytest.mark.parametrize("python", PYTHONS)
def test_environment_equals_the_lock(python: str) -> None:
    lines = (REPO / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line) for line in lines if "==" in line and line[0].isalnum()]
    marker_values = {"python_version": python, "python_full_version": f"{python}.0"}
    locked = {
        pin.name: str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate(marker_values)
    }
    versions = read_environment(REPO / "environment.yaml")
    assert versions == {name: locked[name] for name in versions}


def test_check_environment_of_the_installed_versions(tmp_path: Path) -> None:
    installed = version("torch").partition("+")[0]  # without +cpu, as the lock names it
    check_environment(write_versions(tmp_path, {"torch": installed, "numpy": version("numpy")}))


def test_check_environment_names_both_versions(tmp_path: Path) -> None:
    path = write_versions(tmp_path, {"torch": version("torch").partition("+")[0], "numpy": "1.0"})
    with pytest.raises(InputError, match=rf"numpy {version('numpy')} .* 1\.0; run 'make'"):
        check_environment(path)


def test_check_environment_of_a_missing_package(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing_of_this_name"):
        check_environment(write_versions(tmp_path, {"nothing_of_this_name": "1.0"}))


@pytest.mark.parametrize("versions", [{"torch": 1.1}, ["torch"], None, {"torch": None}])
def test_read_environment_of_no_text_fails(tmp_path: Path, versions: object) -> None:
    with pytest.raises(InputError, match=r"environment\.yaml: .*in quotes"):
        read_environment(write_versions(tmp_path, versions))


def test_read_environment_of_no_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"environment\.yaml: no such file"):
        read_environment(tmp_path / "environment.yaml")


def test_read_environment_of_other_text_names_it(tmp_path: Path) -> None:
    (tmp_path / "environment.yaml").write_text("torch: [")
    with pytest.raises(InputError, match=r"environment\.yaml: not readable"):
        read_environment(tmp_path / "environment.yaml")


def test_run_stage_checks_before_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_versions(tmp_path, {"numpy": "1.0"})
    with pytest.raises(SystemExit):
        run_stage(lambda: print("ran"))
    assert "ran" not in capsys.readouterr().out


def test_stage_with_another_version_writes_nothing(
    workspace: Path, stage_error: Callable[..., str]
) -> None:
    write_versions(workspace, {"pillow": "1.0"})
    assert "pillow" in stage_error("sample")


@pytest.mark.parametrize("stage", sorted((REPO / "stages").rglob("[!_]*.py")), ids=lambda p: p.stem)
def test_every_stage_runs_by_run_stage(stage: Path) -> None:
    assert stage.read_text().endswith('if __name__ == "__main__":\n    run_stage(main)\n')
