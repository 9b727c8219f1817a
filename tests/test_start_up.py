"""What stages and commands load: PyTorch and scikit-learn each take more than a second."""

import pytest

from tests.helpers.modules import list_loaded_modules

# One process imports all stages of a list, since what none of them loads, not one does.
STAGES_WITHOUT_TORCH = (
    "assign_folds",
    "baselines",
    "combine",
    "compare",
    "failures",
    "groups",
    "leakage",
    "neighbours",
    "plot_sample",
    "report",
    "scale",
    "sheet",
    "studies.report",
    "studies.results",
    "summarise",
)
STAGES_WITHOUT_SKLEARN = (
    "combine",
    "compare",
    "evaluate",
    "failures",
    "groups",
    "leakage",
    "load",
    "plot_sample",
    "probe",
    "report",
    "sample",
    "sheet",
    "studies.report",
    "studies.results",
    "summarise",
    "train",
)
# Packages that other stages need, or the orchestration and the tests.
NEEDED_ELSEWHERE = {"distributed", "dvc", "nibabel", "onnx", "onnxruntime", "pydicom"}

# One training on the fast path, and one on the plain path.
TRAININGS = """
import numpy as np
from mri_stages.config.schema import Model
from mri_stages.storage.dataset import Info, LabelledImages
from mri_stages.training.fit import fit
from tests.helpers.params import DEFAULT_PARAMS

model = DEFAULT_PARAMS["train"] | {"arch": "simple_nn2", "lr": 0.1, "batch_size": 2}
images = np.random.default_rng(0).random((4, 1, 16, 16), np.float32)
labels = np.array([0, 1, 0, 1])
info = Info(image_shape=(1, 16, 16), classes=["a", "b"], counts={})
for weight_decay in (0, 0.1):
    recipe = Model.model_validate(model | {"weight_decay": weight_decay})
    fit(recipe, LabelledImages(images, labels, None), info, quiet=True)
"""


def import_stages(names: tuple[str, ...]) -> str:
    return "\n".join(f"import stages.{name}" for name in names)


@pytest.fixture(scope="module")
def modules_without_torch() -> set[str]:
    return list_loaded_modules(import_stages(STAGES_WITHOUT_TORCH))


@pytest.fixture(scope="module")
def modules_without_sklearn() -> set[str]:
    return list_loaded_modules(import_stages(STAGES_WITHOUT_SKLEARN) + TRAININGS)


def test_stages_load_no_torch(modules_without_torch: set[str]) -> None:
    assert "sklearn" in modules_without_torch
    assert "torch" not in modules_without_torch


def test_stages_load_no_sklearn(modules_without_sklearn: set[str]) -> None:
    assert "torch" in modules_without_sklearn
    assert "sklearn" not in modules_without_sklearn


def test_stages_load_no_package_of_other_stages(
    modules_without_torch: set[str], modules_without_sklearn: set[str]
) -> None:
    assert not (modules_without_torch | modules_without_sklearn) & NEEDED_ELSEWHERE


def test_training_by_plain_sgd_loads_no_compiler(modules_without_sklearn: set[str]) -> None:
    """PyTorch's own SGD does."""
    assert "mri_stages.training.plain_sgd" in modules_without_sklearn
    assert "torch._dynamo" not in modules_without_sklearn


def test_help_loads_no_library() -> None:
    modules = list_loaded_modules("from mri_stages.__main__ import parse_subcommand")
    assert not modules & {"numpy", "pydantic", "torch", "yaml"}


# `--help` of each subcommand, in one process: what none of them loads, not one does.
HELP_OF_COMMANDS = """
from contextlib import suppress
from importlib import import_module
from mri_stages.__main__ import SUBCOMMANDS

for subcommand in SUBCOMMANDS.values():
    module = import_module(f"mri_stages.commands.{subcommand.module}")
    with suppress(SystemExit):
        module.main(["--help"])
"""


def test_help_of_a_command_loads_no_library_that_takes_long() -> None:
    modules = list_loaded_modules(HELP_OF_COMMANDS)
    assert "mri_stages.commands.import_images" in modules
    assert not modules & {"dvc", "matplotlib", "numpy", "scipy", "sklearn", "torch"}
