from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from src import arrays
from src.scaler import fit_scaler, save_scaler, scaled_chunks


@pytest.fixture
def x(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Grey levels k/255 and some other columns; chunks of 7 rows and a smaller last one."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (61, 500)).astype(np.float32) / np.float32(255)
    x[:, :40] = 0
    x[:, 40:50] = np.float32(0.7)
    x[:, 50:60] = rng.normal(size=10)
    x[3, 50:60] += np.spacing(x[3, 50:60])  # all but constant
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 7 * x[0].nbytes)
    return x


def test_rows_scaled_in_chunks_are_bit_equal_to_one_fit_transform(x: np.ndarray) -> None:
    scaled = np.concatenate(list(scaled_chunks(fit_scaler(x), x)))
    expected = StandardScaler().fit_transform(x)
    assert scaled.dtype == np.float32
    assert scaled.tobytes() == expected.tobytes()


def test_stored_grey_levels_of_one_channel_scale_like_the_full_images(
    x: np.ndarray, tmp_path: Path
) -> None:
    grey = np.rint(x[:, 60:] * 255).astype(np.uint8)
    full = np.tile(grey / np.float32(255), 3)
    scaler = fit_scaler(grey)
    expected = StandardScaler()
    assert np.tile(np.concatenate(list(scaled_chunks(scaler, grey))), 3).tobytes() == (
        expected.fit_transform(full).tobytes()
    )
    save_scaler(tmp_path / "scaler.npz", scaler, full.shape[1])
    with np.load(tmp_path / "scaler.npz", allow_pickle=False) as saved:
        np.testing.assert_array_equal(saved["mean"], expected.mean_)
        assert saved["scale"].shape == (full.shape[1],)


def test_saved_statistics_are_scikit_learns_to_the_bit(x: np.ndarray, tmp_path: Path) -> None:
    save_scaler(tmp_path / "scaler.npz", fit_scaler(x), 500)
    expected = StandardScaler().fit(x)
    with np.load(tmp_path / "scaler.npz", allow_pickle=False) as saved:
        assert set(saved) == {"mean", "var", "scale", "n_samples"}
        for name in saved:
            of_sklearn = getattr(expected, "n_samples_seen_" if name == "n_samples" else f"{name}_")
            np.testing.assert_array_equal(saved[name], of_sklearn)


def test_columns_that_are_all_but_constant_over_many_rows_are_scikit_learns_to_the_bit() -> None:
    x = np.tile(np.random.default_rng(1).normal(size=300).astype(np.float32), (5121, 1))
    x[3] += np.spacing(x[3])
    scaler, expected = fit_scaler(x), StandardScaler().fit(x)
    np.testing.assert_array_equal(scaler.var, expected.var_)
    np.testing.assert_array_equal(scaler.scale, expected.scale_)
