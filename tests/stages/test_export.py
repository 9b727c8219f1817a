"""The export folder, as the stage writes it."""

import json
import shutil
from pathlib import Path

import pytest

from mri_stages import paths
from mri_stages.errors import InputError
from tests.helpers.stages import call_stage
from tests.helpers.trained_project import CLASSES, IMAGE_SHAPE, N_TRAIN


@pytest.fixture
def project(trained_project: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained project, without its export."""
    project = shutil.copytree(trained_project, tmp_path / "copy")
    shutil.rmtree(project / paths.EXPORT)
    return project


def test_export_describes_the_model(trained_project: Path) -> None:
    description = json.loads((trained_project / "models/export/model.json").read_text())
    assert description["classes"] == CLASSES
    assert description["input"]["shape"] == list(IMAGE_SHAPE)
    assert description["input"]["range"] == [0, 1]
    assert description["training"]["rows"] == N_TRAIN


@pytest.mark.parametrize(
    ("split", "file"),
    [
        ("given_split", paths.metrics("small")),
        ("new_subjects", paths.new_subject_metrics("small")),
    ],
)
def test_export_holds_the_metrics(trained_project: Path, split: str, file: Path) -> None:
    description = json.loads((trained_project / "models/export/model.json").read_text())
    assert description["metrics"][split] == json.loads((trained_project / file).read_text())


def test_export_card_names_the_classes(trained_project: Path) -> None:
    card = (trained_project / "models/export/card.md").read_text()
    assert ", ".join(CLASSES) in card


@pytest.mark.parametrize("name", ["model.onnx", "model.json", "card.md"])
def test_export_has_the_same_bytes_in_another_folder(
    trained_project: Path, exported_again: Path, name: str
) -> None:
    content = (trained_project / paths.EXPORT / name).read_bytes()
    assert (exported_again / name).read_bytes() == content


@pytest.fixture(scope="module")
def exported_again(trained_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the export folder of the same project in another folder."""
    project = shutil.copytree(trained_project, tmp_path_factory.mktemp("again") / "project")
    shutil.rmtree(project / paths.EXPORT)
    call_stage(project, "export")
    return project / paths.EXPORT


def test_export_that_disagrees_with_evaluate_fails(project: Path) -> None:
    predictions = project / paths.predictions("small")
    predictions.write_text(predictions.read_text().replace(",0.", ",0.0"))
    with pytest.raises(InputError, match=r"model\.onnx"):
        call_stage(project, "export")
    assert not (project / paths.EXPORT).exists()
