import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage import arrays
from mri_stages.storage.dataset import load_scaled, read_info
from stages import load, scale
from tests.helpers.params import write_params
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import load_npy

pytestmark = pytest.mark.usefixtures("workspace")

RAW = Path("data/raw")
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("offset", [0, 1e-4])  # stored as uint8, and as float32
@pytest.mark.parametrize(("n_train", "n_chunk"), [(23, 1), (23, 7), (5121, 100)])
def test_scale_in_any_chunks_is_scikit_learns_scaler_of_the_training_rows(
    monkeypatch: pytest.MonkeyPatch, n_train: int, n_chunk: int, offset: float
) -> None:
    write_raw(RAW, n_train, 14, (3, 6, 5))
    images = {split: torch.load(RAW / f"{split}_data.pt") for split in ("train", "test")}
    images["train"][:, :, :, :2] = images["train"][:1, :, :, :2]  # constant columns
    images["train"][3, :, :, 0] += offset  # almost constant ones
    torch.save(images["train"], RAW / "train_data.pt")
    monkeypatch.setattr(arrays, "CHUNK_BYTES", n_chunk * 4 * 6 * 5)
    load.main()
    scale.main()
    scaler = StandardScaler().fit(images["train"].flatten(1).numpy())
    for split, x in images.items():
        scaled = load_scaled(split, read_info()).images
        assert scaled.dtype == np.float32
        expected = scaler.transform(x.flatten(1).numpy()).reshape(x.shape)
        np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-5)
    with np.load(paths.SCALER, allow_pickle=False) as saved:
        assert saved["n_samples"] == n_train
        for name in ("mean", "var", "scale"):  # of all channels
            assert saved[name].dtype == np.float64
            expected = getattr(scaler, f"{name}_")
            np.testing.assert_allclose(saved[name], expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("offset", [0, 1e-4])  # stored as uint8, and as float32
def test_scale_on_the_fly_writes_the_scaler_alone(workspace: Path, offset: float) -> None:
    write_raw(RAW, shape=(3, 6, 5))
    torch.save(torch.load(RAW / "train_data.pt") + offset, RAW / "train_data.pt")
    load.main()
    scale.main()
    expected = paths.SCALER.read_bytes()
    write_params(workspace, {"data.scaled": "on_the_fly"})
    scale.main()
    assert paths.SCALER.read_bytes() == expected
    for split in ("train", "test"):
        assert load_npy(paths.scaled_images(split)).shape == (0, 6 * 5)


def test_scale_on_the_fly_checks_each_value(workspace: Path) -> None:
    write_params(workspace, {"data.scaled": "on_the_fly"})
    write_raw(RAW)
    images = torch.load(RAW / "train_data.pt")
    images[:, :, 10, 10] = 1
    images[:3, :, 10, 10] += 1e-6
    torch.save(images, RAW / "train_data.pt")
    images = torch.load(RAW / "test_data.pt")
    images[5, :, 10, 10] = 3e38
    torch.save(images, RAW / "test_data.pt")
    load.main()
    with pytest.raises(InputError, match=r"x_test\.npy: row 5 "):
        scale.main()


@pytest.mark.parametrize("n_test", [1, 14])
@pytest.mark.parametrize(
    ("split", "factor", "offset", "warned"),
    [
        *(("test", 1, 0, False), ("test", 1.1, 0, False)),
        *((split, 3.3, -1.5, True) for split in ("train", "test")),  # normalised
        *((split, 2.1, -1, True) for split in ("train", "test")),
        *((split, 0, 0, True) for split in ("train", "test")),
        ("test", 1, 1, True),
    ],
)
def test_scale_warns_of_test_rows_on_another_scale(
    capsys: Capture, n_test: int, split: str, factor: float, offset: float, warned: bool
) -> None:
    write_raw(RAW, n_test=n_test)
    path = RAW / f"{split}_data.pt"
    torch.save(offset + factor * torch.load(path), path)
    load.main()
    capsys.readouterr()
    scale.main()
    output = capsys.readouterr().out
    assert output.count("test_data.pt") == warned
    if warned:
        sets = [torch.load(RAW / f"{split}_data.pt") for split in ("test", "train")]
        expected = [value for x in sets for value in (x.mean(), x.std(correction=0))]
        figures = [float(number) for number in re.findall(r"-?\d[\d.]*", output)]
        np.testing.assert_allclose(figures, expected, atol=1e-4)
