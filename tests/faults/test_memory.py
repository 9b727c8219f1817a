"""The real slices go through with little memory for each process."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.params import write_params
from tests.helpers.pipeline_params import PIPELINE_PARAMS
from tests.helpers.preloaded import Completed
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import copy_environment, make_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere RLIMIT_DATA limits little"),
]

resource = pytest.importorskip("resource", reason="no limits on Windows")

# Beside those of PIPELINE_PARAMS: the one with the most weights.
LARGE_MODEL = {"models.simple_nn1": {"arch": "simple_nn1", "lr": 0.01, "batch_size": 100}}
GB = 2**30
DATA_LIMIT = 2 * GB

# Command, the files that it maps, and the limit of its data beside these files.
COMMANDS = (
    (["mri_stages", "import"], "", 1 * GB),
    (["stages.load"], "data/raw/*.pt", 1 * GB),
    (["stages.scale"], "data/flat/x_*.npy", 1 * GB),
    (["stages.train", "simple_nn2"], "data/scaled/x_train.npy", 1 * GB),
    (["stages.evaluate", "simple_nn2"], "data/scaled/x_test.npy", 1 * GB),
    (["stages.assign_folds"], "", 1 * GB),
    # It maps the scaled rows of a fold, which take at most as much as those of the split.
    (["stages.cross_validate", "simple_nn2"], "data/*/x_*.npy", 2 * GB),
)


def run_with_limit(folder: Path, command: list[str], limit: int = DATA_LIMIT) -> Completed:
    """Run a command of this checkout that may have `limit` bytes of data."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        env=make_environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )


def test_stages_on_real_slices_take_little_memory(tmp_path: Path, shared_slices: Path) -> None:
    copy_environment(tmp_path)
    changes = {"data.raw": "data/raw", "cross_validation.folds": 2}
    write_params(tmp_path, changes, PIPELINE_PARAMS)
    for command, mapped_files, limit in COMMANDS:
        if command == ["mri_stages", "import"]:
            command = [*command, str(shared_slices)]
        # A file that is mapped as private memory counts as data, though nothing is written there
        # and its pages stay the file's.
        mapped_bytes = 0
        if mapped_files:
            mapped_bytes = sum(path.stat().st_size for path in tmp_path.glob(mapped_files))
        process = run_with_limit(tmp_path, command, limit + mapped_bytes)
        assert process.returncode == 0, process.stderr


def test_sample_without_memory_ends_with_one_line(tmp_path: Path) -> None:
    # Phantoms of 20 GB: the error is NumPy's.
    changes = {"sample.height": 4096, "sample.width": 4096, "sample.subjects": 240}
    copy_environment(tmp_path)
    write_params(tmp_path, changes, PIPELINE_PARAMS)
    assert_one_line_about_memory(run_with_limit(tmp_path, ["stages.sample"]))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"params.yaml", "environment.yaml"}


def test_train_without_memory_ends_with_one_line(tmp_path: Path) -> None:
    write_raw(tmp_path / "data/raw", n_train=5, n_test=5, shape=(1, 1024, 1024))
    copy_environment(tmp_path)
    write_params(tmp_path, {"data.raw": "data/raw", **LARGE_MODEL}, PIPELINE_PARAMS)
    for stage in ("stages.load", "stages.scale"):
        assert run_with_limit(tmp_path, [stage]).returncode == 0
    # 4 GB of weights: the error is PyTorch's.
    assert_one_line_about_memory(run_with_limit(tmp_path, ["stages.train", "simple_nn1"]))
    assert not (tmp_path / "models").exists()


def assert_one_line_about_memory(process: Completed) -> None:
    assert process.returncode == 75
    assert process.stderr.startswith("error: not enough memory: ")
    assert process.stderr.count("\n") == 1
