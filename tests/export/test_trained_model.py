"""Trained models of params.yaml and of export folders, as Python functions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import mri_stages
from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.export.onnx_file import ScaledNetwork
from mri_stages.export.trained_model import PredictingNetwork, load_model, predict
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.models import make_networks
from mri_stages.storage.predictions import read_predictions
from mri_stages.training.predict import predict_logits
from tests.helpers.params import change_params
from tests.helpers.stages import call_stage
from tests.helpers.trained_project import CLASSES, IMAGE_SHAPE, N_TRAIN, TEST_TENSOR

N_ROWS_OF_TWO_BATCHES = 30


@pytest.fixture
def project(trained_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_project)
    return trained_project


def write_range(folder: Path, pixel_range: list[float]) -> None:
    """Change the range of the training pixels in an export folder."""
    description = json.loads((folder / "model.json").read_text())
    description["input"]["range"] = pixel_range
    (folder / "model.json").write_text(json.dumps(description))


@pytest.mark.parametrize("name", ["small", "models/export"])
def test_load_model_knows_classes_and_shape(project: Path, name: str) -> None:
    model = load_model(name)
    assert model.classes == CLASSES
    assert model.image_shape == IMAGE_SHAPE
    assert model.has_unit_range


@pytest.mark.parametrize("name", ["small", "models/export"])
def test_predict_takes_the_rows_of_load_split(project: Path, name: str) -> None:
    images = mri_stages.load_split("test", scaled=False).images
    expected = read_predictions(paths.predictions("small"), CLASSES).probabilities
    np.testing.assert_allclose(predict(load_model(name), images), expected, atol=1e-5)


def test_load_model_of_an_ensemble_gives_what_evaluate_wrote(
    trained_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shutil.copytree(trained_project, tmp_path / "ensemble")
    change_params(project, {"models.small.ensemble": 2})
    call_stage(project, "train", "small")
    call_stage(project, "evaluate", "small")
    monkeypatch.chdir(project)
    images = mri_stages.load_split("test", scaled=False).images
    expected = read_predictions(paths.predictions("small"), CLASSES).probabilities
    np.testing.assert_allclose(predict(load_model("small"), images), expected, atol=1e-5)


@pytest.mark.parametrize("arch", ["simple_nn2", "conv_nn2", "resnet"])
@pytest.mark.parametrize("n_networks", [1, 2])
@pytest.mark.parametrize("are_grey", [True, False])
def test_predicting_network_has_the_bits_of_evaluate(
    arch: str, n_networks: int, are_grey: bool
) -> None:
    shape = (3, 40, 44)
    network = make_networks(n_networks, arch, shape, 4, seed=0)
    predicting = PredictingNetwork(
        ScaledNetwork(network, torch.zeros(shape), torch.ones(shape)).eval(), are_grey
    )
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(16, 1 if are_grey else 3, 40, 44, generator=generator).expand(-1, 3, -1, -1)
    assert torch.equal(predicting.compute_logits(rows.contiguous()), predict_logits(network, rows))


def test_predict_grey_images_among_rows_that_are_not_all_grey(
    trained_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the last test row has colours, so `evaluate` reads all channels of every row."""
    project = shutil.copytree(trained_project, tmp_path / "project")
    for split, n_rows in (("train", N_TRAIN), ("test", N_ROWS_OF_TWO_BATCHES)):
        generator = torch.Generator().manual_seed(n_rows)
        levels = torch.randint(0, 256, (n_rows, 1, *IMAGE_SHAPE[1:]), generator=generator)
        images = (levels / 255).repeat(1, 3, 1, 1)
        if split == "test":
            images[-1, 0] = 0
        torch.save(images, project / f"data/raw/{split}_data.pt")
        torch.save(torch.arange(n_rows) % len(CLASSES), project / f"data/raw/{split}_labels.pt")
        torch.save(torch.arange(n_rows), project / f"data/raw/{split}_subjects.pt")
    for stage in ("load", "scale", "train small", "evaluate small"):
        call_stage(project, *stage.split())

    monkeypatch.chdir(project)
    expected = read_predictions(paths.predictions("small"), CLASSES).probabilities
    np.testing.assert_array_equal(predict(load_model("small"), torch.load(TEST_TENSOR)), expected)


def test_predict_takes_a_tensor_of_pixels(project: Path) -> None:
    model = load_model(project / "models/export")
    expected = read_predictions(paths.predictions("small"), CLASSES).probabilities
    np.testing.assert_allclose(predict(model, torch.load(TEST_TENSOR)), expected, atol=1e-5)


def test_load_split_scales_the_images(project: Path) -> None:
    scaled = mri_stages.load_split("train").images
    assert scaled.dtype == np.float32
    assert abs(scaled.mean()) < 1e-3


@pytest.mark.parametrize("shape", [IMAGE_SHAPE, (0, *IMAGE_SHAPE), (2, 3, 40, 36)])
def test_predict_of_another_shape_fails(project: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected"):
        predict(load_model("models/export"), np.zeros(shape, np.float32))


def test_predict_of_a_wrong_pixel_names_the_image(project: Path) -> None:
    images = np.zeros((3, *IMAGE_SHAPE), np.float32)
    images[2, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="image 2 "):
        predict(load_model("models/export"), images)


@pytest.mark.parametrize("pixel_range", [[0, 255], [-1, 1]])
def test_load_model_of_other_pixels(
    trained_project: Path, tmp_path: Path, pixel_range: list[float]
) -> None:
    folder = shutil.copytree(trained_project / "models/export", tmp_path / "export")
    write_range(folder, pixel_range)
    assert not load_model(folder).has_unit_range


@pytest.mark.parametrize(("brightest", "is_unit"), [(1.0, True), (1.5, False)])
def test_load_model_of_params_decides_by_the_range(
    trained_project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    brightest: float,
    is_unit: bool,
) -> None:
    """The mean of each pixel lies between 0 and 1 in both."""
    project = shutil.copytree(trained_project, tmp_path / "floats")
    tensor = torch.rand(N_TRAIN, *IMAGE_SHAPE)
    tensor[0, 0, 0, 0] = brightest
    torch.save(tensor, project / "data/raw/train_data.pt")
    call_stage(project, "load")
    monkeypatch.chdir(project)
    assert load_model("small").has_unit_range == is_unit


def test_load_model_of_an_earlier_export(trained_project: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained_project / "models/export", tmp_path / "export")
    description = json.loads((folder / "model.json").read_text())
    del description["import"]
    (folder / "model.json").write_text(json.dumps(description))
    assert load_model(folder).import_options == ImportOptions()


def test_load_model_of_a_reversed_range_fails(trained_project: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained_project / "models/export", tmp_path / "export")
    write_range(folder, [1, 0])
    with pytest.raises(InputError, match=r"model\.json: input: range"):
        load_model(folder)


def test_load_model_of_a_damaged_file_fails(trained_project: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained_project / "models/export", tmp_path / "export")
    (folder / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"model\.onnx"):
        load_model(folder)


def test_load_model_before_it_is_trained_on_new_images_fails(
    trained_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shutil.copytree(trained_project, tmp_path / "other")
    path = project / "data/flat/info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"image_shape": [3, 18, 20]}))
    monkeypatch.chdir(project)
    with pytest.raises(InputError, match=r"small\.safetensors: .*mri-stages repro") as error:
        load_model("small")
    assert "\n" not in str(error.value)


def test_load_model_that_diverged_fails(
    trained_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shutil.copytree(trained_project, tmp_path / "diverged")
    change_params(project, {"models.small.lr": 1e30})
    call_stage(project, "train", "small")
    monkeypatch.chdir(project)
    with pytest.raises(InputError, match=r"small\.safetensors.*diverged"):
        load_model("small")
