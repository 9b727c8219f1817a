"""Further networks train as in a plain loop, and what is saved of them predicts as they do."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from mri_stages.models import make_network
from mri_stages.storage.dataset import Info, LabelledImages
from mri_stages.storage.weights import collect_tensors, load_weights, save_weights
from mri_stages.training.fit import fit
from mri_stages.training.predict import predict_logits
from tests.helpers.further_networks import FURTHER_NETWORKS
from tests.helpers.plain_training import make_recipe, train_plainly

SHAPE = (3, 8, 9)
INFO = Info(image_shape=SHAPE, classes=["a", "b", "c"], counts={})
RNG = np.random.default_rng(0)
DATA = LabelledImages(
    images=RNG.normal(size=(14, *SHAPE)).astype(np.float32),
    labels=np.arange(14) % 3,
    subjects=None,
)
IMAGES = torch.from_numpy(DATA.images)
LABELS = torch.from_numpy(DATA.labels)


@pytest.mark.parametrize("name", FURTHER_NETWORKS)
def test_fit_trains_and_saves_a_network_that_people_bring(
    own_parts: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(own_parts, "make_network", FURTHER_NETWORKS[name])
    model = make_recipe(lr=0.01, shuffle=True)
    expected = make_network("own_parts", SHAPE, 3, model.seed)
    start = {key: tensor.clone() for key, tensor in collect_tensors(expected).items()}
    train_plainly(expected, IMAGES, LABELS, model)

    network = fit(model, DATA, INFO, quiet=True).network
    tensors = collect_tensors(network)
    torch.testing.assert_close(tensors, collect_tensors(expected), rtol=1e-3, atol=1e-4)
    assert any(not torch.equal(tensors[key], start[key]) for key in start)

    save_weights(tmp_path / "w.safetensors", network)
    restored = make_network("own_parts", SHAPE, 3, seed=99)
    load_weights(tmp_path / "w.safetensors", restored)
    assert torch.equal(predict_logits(restored, IMAGES), predict_logits(network, IMAGES))
