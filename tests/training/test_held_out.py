from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from mri_stages.config.schema import Model
from mri_stages.storage.dataset import AllRows, Info, LabelledImages
from mri_stages.storage.history import find_kept_epoch
from mri_stages.training.fit import fit
from mri_stages.training.held_out import fit_and_predict
from tests.helpers.params import DEFAULT_PARAMS

INFO = Info(image_shape=(3, 2, 2), classes=["Ill", "Sane"], counts={})
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 255, (40, 4)).astype(np.uint8)  # of equal channels, stored once
LABELS = np.arange(40) % 2
SUBJECTS = np.arange(40) // 4
ROWS = AllRows([PIXELS[:25], PIXELS[25:]], LABELS, SUBJECTS)
TRAIN_INDICES = RNG.permutation(32)  # of both stored parts
TEST_INDICES = np.arange(32, 40)


def make_model(**changes: object) -> Model:
    model = DEFAULT_PARAMS["train"] | {"arch": "simple_nn2", "lr": 0.1, "batch_size": 5}
    return Model.model_validate(model | changes)


@pytest.mark.parametrize("changes", [{}, {"validation": 0.4}, {"validation": 0.4, "ensemble": 2}])
def test_fit_and_predict_scales_by_the_training_rows(
    tmp_path: Path, changes: dict[str, float]
) -> None:
    model = make_model(**changes)
    result = fit_and_predict(model, INFO, ROWS, TRAIN_INDICES, TEST_INDICES, tmp_path)

    scaler = StandardScaler().fit(PIXELS[TRAIN_INDICES] / 255)
    scaled = np.tile(scaler.transform(PIXELS / 255), 3).reshape(-1, 3, 2, 2).astype(np.float32)
    data = LabelledImages(scaled[TRAIN_INDICES], LABELS[TRAIN_INDICES], SUBJECTS[TRAIN_INDICES])
    network, history = fit(model, data, INFO)
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(scaled[TEST_INDICES])).softmax(1)
    np.testing.assert_allclose(result.probabilities, expected, rtol=1e-3, atol=1e-5)
    assert result.kept_epoch == find_kept_epoch(history)


def test_fit_and_predict_never_reads_labels_of_test_rows(tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[TEST_INDICES] = 1 - labels[TEST_INDICES]
    results = [
        fit_and_predict(make_model(), INFO, rows, TRAIN_INDICES, TEST_INDICES, tmp_path, quiet=True)
        for rows in (ROWS, ROWS._replace(labels=labels))
    ]
    np.testing.assert_array_equal(results[0].probabilities, results[1].probabilities)
