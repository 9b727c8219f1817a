"""The package as people import and install it."""

import tomllib
from importlib import import_module

import pytest
from packaging.requirements import Requirement

import mri_stages
from tests.helpers.modules import list_loaded_modules
from tests.helpers.project import REPO

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))


def test_import_loads_neither_torch_nor_numpy() -> None:
    modules = list_loaded_modules("import mri_stages; dir(mri_stages)")
    assert "mri_stages" in modules
    assert not modules & {"torch", "numpy", "mri_stages.console"}


def test_read_params_loads_no_torch() -> None:
    modules = list_loaded_modules("from mri_stages import read_params")
    assert "mri_stages.config.loading" in modules
    assert "torch" not in modules


@pytest.mark.parametrize("name", mri_stages.__all__)
def test_public_name_is_a_function(name: str) -> None:
    assert name in dir(mri_stages)
    assert getattr(mri_stages, name).__name__ == name


def test_unknown_name_is_no_attribute() -> None:
    assert not hasattr(mri_stages, "load_modl")


def test_installed_command_is_main() -> None:
    module, _, name = PROJECT["project"]["scripts"]["mri-stages"].partition(":")
    assert callable(getattr(import_module(module), name))


def test_build_backend_is_locked() -> None:
    """`make` installs the project without the network."""
    pins = (REPO / "requirements.lock").read_text(encoding="utf-8").splitlines()
    for requirement in map(Requirement, PROJECT["build-system"]["requires"]):
        assert any(pin.startswith(f"{requirement.name}==") for pin in pins)


def test_stages_load_no_reader_of_medical_files() -> None:
    """Only the import reads them, and no stage names their packages in environment.yaml."""
    modules = list_loaded_modules("import mri_stages.ingest.raw_folder, mri_stages.ingest.flatten")
    assert "mri_stages.ingest.raw_folder" in modules
    assert not modules & {"pydicom", "nibabel"}
