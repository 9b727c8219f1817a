"""The real slices go through with little memory for each process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import REPO, write_raw
from tests.helpers.stages import copy_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere RLIMIT_DATA limits little"),
]

resource = pytest.importorskip("resource", reason="no limits on Windows")

GB = 2**30  # of data


def limited(folder: Path, *command: str, limit: float = 2 * GB) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{REPO}/src{os.pathsep}{REPO}"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (int(limit),) * 2),
    )  # fmt: skip


def write_params(folder: Path, **changes: str) -> None:
    text = (REPO / "params.yaml").read_text()
    for old, new in {"raw: data/sample": "raw: data/raw", **changes}.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "params.yaml").write_text(text)
    copy_environment(folder)


def test_stages_on_the_real_slices_take_little_memory(tmp_path: Path, shared_slices: Path) -> None:
    write_params(tmp_path, **{"epochs: 10": "epochs: 1"})
    for command, mapped, limit in (
        (["mri-stages import", str(shared_slices)], None, 1 * GB),
        (["stages.load"], "data/raw/*.pt", 1 * GB),
        (["stages.scale"], "data/flat/x_*.npy", 1 * GB),
        (["stages.train", "simple_nn2"], "data/scaled/x_train.npy", 1 * GB),
        # A batch of 100 takes 1.7 GB at least; how much more depends on the CPU's convolutions.
        (["stages.train", "conv_nn1"], "data/scaled/x_train.npy", 3 * GB),
        (["stages.evaluate", "conv_nn1"], "data/scaled/x_test.npy", 2 * GB),
        # It maps the scaled rows of a fold, which take at most as much as those of the split.
        (["stages.cross_validate", "simple_nn2"], "data/*/x_*.npy", 2 * GB),
    ):
        # A file that is mapped as private memory counts as data, though nothing is written there
        # and its pages stay the file's.
        files = tmp_path.glob(mapped) if mapped else []
        done = limited(tmp_path, *command, limit=limit + sum(p.stat().st_size for p in files))
        assert done.returncode == 0, done.stderr


def test_stages_without_enough_memory_end_with_one_line(tmp_path: Path) -> None:
    write_params(tmp_path, **{"height: 64": "height: 4096", "width: 56": "width: 4096"})
    check_one_line(limited(tmp_path, "stages.sample"))  # phantoms of 20 GB: NumPy's error
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"params.yaml", "environment.yaml"}

    write_raw(tmp_path / "data/raw", n_train=5, n_test=5, shape=(1, 1024, 1024))
    write_params(tmp_path)
    for stage in ("stages.load", "stages.scale"):
        assert limited(tmp_path, stage).returncode == 0
    check_one_line(limited(tmp_path, "stages.train", "simple_nn1"))  # 4 GB: PyTorch's error
    assert not (tmp_path / "models").exists()


def check_one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 75
    assert done.stderr.startswith("error: not enough memory: ")
    assert done.stderr.count("\n") == 1
