"""The networks of the folds, as `probe` uses them: many calls for the same network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from mri_stages.config.schema import Model
from mri_stages.preprocessing.scaler import save_scaler
from mri_stages.storage.dataset import Info
from mri_stages.storage.weights import save_weights
from mri_stages.training.fit import build_network
from mri_stages.training.fold_networks import FoldFiles, FoldPredictor
from mri_stages.training.predict import predict_logits
from tests.helpers.params import DEFAULT_PARAMS

INFO = Info(image_shape=(1, 8, 8), classes=["a", "b"], counts={})
MODEL = Model.model_validate(
    DEFAULT_PARAMS["train"] | {"arch": "small_cnn", "lr": 0.01, "batch_size": 5}
)
PIXELS = np.random.default_rng(0).random((10, 64), np.float32)  # one batch


@pytest.fixture
def predictor(tmp_path: Path) -> FoldPredictor:
    """Return the predictor of a fold with a convolutional network."""
    files = FoldFiles(tmp_path, 0)
    save_scaler(files.scaler, StandardScaler().fit(PIXELS), PIXELS.shape[1])
    save_weights(files.weights(0), build_network(MODEL, INFO))
    return FoldPredictor(files, MODEL, INFO)


def test_fold_predictor_tries_the_layout_once(predictor: FoldPredictor) -> None:
    """A call of `predict` runs the network for the images, and for nothing else."""
    batches = []
    (network,) = predictor.networks
    network.register_forward_hook(lambda _module, inputs, _output: batches.append(inputs))
    for _ in range(3):
        predictor.predict(PIXELS)
    assert len(batches) == 3


def test_fold_predictor_takes_the_layout_of_its_images(predictor: FoldPredictor) -> None:
    scaled = ((PIXELS - predictor.mean) / predictor.scale).reshape(-1, 1, 8, 8)
    logits = predict_logits(predictor.networks[0], torch.from_numpy(scaled))
    np.testing.assert_array_equal(predictor.predict(PIXELS), logits.softmax(1).numpy())
