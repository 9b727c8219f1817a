from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from mri_stages.config.schema import Model, ScaledRows
from mri_stages.storage.dataset import AllRows, Info, LabelledImages
from mri_stages.storage.history import find_kept_epoch
from mri_stages.training.fit import fit
from mri_stages.training.fold_networks import FoldFiles
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


@pytest.mark.parametrize("changes", [{}, {"arch": "conv_nn2", "validation": 0.4}])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_fit_and_predict_on_the_fly_has_the_same_bits(
    tmp_path: Path, changes: dict[str, object], dtype: type
) -> None:
    info = INFO.model_copy(update={"image_shape": (3, 36, 36)})
    pixels: np.ndarray = RNG.integers(0, 255, (40, 36 * 36)).astype(dtype)
    pixels[:, :50] = 7  # constant
    rows = AllRows([pixels[:25], pixels[25:]], LABELS, SUBJECTS)
    folders: dict[ScaledRows, Path] = {"saved": tmp_path / "a", "on_the_fly": tmp_path / "b"}
    outs = []
    for scaled, folder in folders.items():
        result = fit_and_predict(
            make_model(**changes),
            info,
            rows._replace(scaled=scaled),
            TRAIN_INDICES,
            TEST_INDICES,
            folder,
            kept_files=FoldFiles(folder / "kept", 0),
        )
        kept = {path.name: path.read_bytes() for path in (folder / "kept").iterdir()}
        outs.append((result.probabilities.tobytes(), result.kept_epoch, kept))
    assert outs[0] == outs[1]
    assert not list((tmp_path / "b").glob("*.npy"))


def test_fit_and_predict_never_reads_labels_of_test_rows(tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[TEST_INDICES] = 1 - labels[TEST_INDICES]
    results = [
        fit_and_predict(make_model(), INFO, rows, TRAIN_INDICES, TEST_INDICES, tmp_path, quiet=True)
        for rows in (ROWS, ROWS._replace(labels=labels))
    ]
    np.testing.assert_array_equal(results[0].probabilities, results[1].probabilities)
