"""The real slices go through with 2 GB of memory of its own for each process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO, write_raw

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere RLIMIT_DATA limits little"),
]

resource = pytest.importorskip("resource", reason="no limits on Windows")

LIMIT = 2 * 2**30  # bytes of data


def limited(folder: Path, *command: str, limit: int = LIMIT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        capture_output=True,
        text=True,
    )


def test_the_real_slices_take_less_than_2_gb(tmp_path: Path, shared_slices: Path) -> None:
    params = (REPO / "params.yaml").read_text()
    params = params.replace("raw: data/sample", "raw: data/raw").replace("epochs: 10", "epochs: 1")
    (tmp_path / "params.yaml").write_text(params)
    for command, mapped in (
        (["stages.images", str(shared_slices)], None),
        (["stages.load"], "data/raw/*.pt"),
        (["stages.scale"], "data/flat/x_*.npy"),
        (["stages.train", "simple_nn2"], "data/scaled/x_train.npy"),
        (["stages.train", "conv_nn1"], "data/scaled/x_train.npy"),
        (["stages.evaluate", "conv_nn1"], "data/scaled/x_test.npy"),
    ):
        # A file that is mapped as private memory counts as data, though nothing is written there
        # and its pages stay the file's.
        files = tmp_path.glob(mapped) if mapped else []
        limit = LIMIT + sum(path.stat().st_size for path in files)
        done = limited(tmp_path, *command, limit=limit)
        assert done.returncode == 0, done.stderr


def test_a_want_of_memory_is_one_line(tmp_path: Path) -> None:
    params = (REPO / "params.yaml").read_text()
    large = params.replace("height: 64", "height: 4096").replace("width: 56", "width: 4096")
    (tmp_path / "params.yaml").write_text(large)  # phantoms of 20 GB: NumPy's error
    check_one_line(limited(tmp_path, "stages.sample"))
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]

    write_raw(tmp_path / "data/raw", n_train=5, n_test=5, shape=(1, 1024, 1024))
    own = params.replace("raw: data/sample", "raw: data/raw")
    (tmp_path / "params.yaml").write_text(own)  # a first layer of 4 GB: PyTorch's error
    for stage in ("stages.load", "stages.scale"):
        assert limited(tmp_path, stage).returncode == 0
    check_one_line(limited(tmp_path, "stages.train", "simple_nn1"))
    assert not (tmp_path / "models").exists()


def check_one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1
    assert done.stderr.startswith("error: not enough memory: ")
    assert done.stderr.count("\n") == 1
