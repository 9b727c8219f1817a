"""stages/train.py as its real command: one model of params.yaml."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import PARAMS, REPO, call_stage, load_npy, write_raw
from tests.helpers.networks import ZOO, plain_training, recipe

from mri_stages.storage.files import read_csv
from mri_stages.storage.history import Epoch

SHAPE = (3, 36, 40)


@pytest.fixture
def scaled(workspace: Path) -> Path:
    """Return a workspace that is ready to train."""
    write_raw(workspace / "data/raw", shape=SHAPE)
    call_stage(workspace, "load")
    call_stage(workspace, "scale")
    return workspace


def test_train_of_every_network_of_the_zoo_is_one_file_and_six_lines(scaled: Path) -> None:
    """Each network is a new file in `models` of a copy of the project, and a group in params."""
    for folder in ("src", "stages"):
        shutil.copytree(REPO / folder, scaled / folder)
    models = ""
    for name in ZOO:
        code = f"from tests.helpers.networks import ZOO\n\nmake_network = ZOO[{name!r}]\n"
        (scaled / f"src/mri_stages/models/my_{name}.py").write_text(code)
        models += f"  {name}:\n    arch: my_{name}\n    lr: 0.01\n    batch_size: 5\n"
    (scaled / "params.yaml").write_text(PARAMS.replace("evaluation:", f"{models}evaluation:"))
    code = (
        "import sys; from mri_stages.console import run_command; from stages import train\n"
        f"for sys.argv[1:] in {[[name] for name in ZOO]}: run_command(train.main)"
    )
    env = {**os.environ, "PYTHONPATH": f"{scaled}/src{os.pathsep}{scaled}{os.pathsep}{REPO}"}
    subprocess.run([sys.executable, "-c", code], cwd=scaled, env=env, check=True)
    grey = torch.from_numpy(load_npy(scaled / "data/scaled/x_train.npy")).view(-1, 1, *SHAPE[1:])
    labels = torch.from_numpy(load_npy(scaled / "data/flat/y_train.npy"))
    for name, make in ZOO.items():
        torch.manual_seed(3)
        network = make(SHAPE, 3)
        # In float32 a larger rate would make much of the rounding, which differs between CPUs.
        plain = plain_training(network, grey.repeat(1, 3, 1, 1), labels, recipe(lr=0.01, epochs=2))
        saved = load_file(scaled / f"models/{name}.safetensors")
        torch.testing.assert_close(saved, dict(network.state_dict()), rtol=1e-4, atol=1e-5)
        history = read_csv(scaled / f"plots/history/{name}.csv", Epoch)
        expected = [epoch.last_batch_loss for epoch in plain]
        assert [epoch.last_batch_loss for epoch in history] == pytest.approx(expected, rel=1e-3)


def test_train_killed_after_a_checkpoint_resumes_to_the_same_bytes(
    scaled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scaled / "params.yaml").write_text(PARAMS.replace("epochs: 2", "epochs: 40"))
    code = (  # the stage, with a checkpoint after every epoch
        "import sys; from mri_stages.console import run_command; from stages import train\n"
        "train.Checkpoint.__init__.__defaults__ = (0,); sys.argv = ['train', 'conv']\n"
        "run_command(train.main)"
    )
    env = {**os.environ, "PYTHONPATH": f"{REPO}/src{os.pathsep}{REPO}"}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=scaled, env=env)
    while not list(scaled.glob("models/conv.*.checkpoint")):
        assert process.poll() is None
    process.kill()
    assert process.wait() == -signal.SIGKILL
    weights = scaled / "models/conv.safetensors"
    assert not weights.exists()
    call_stage(scaled, "train", "conv")
    said = capsys.readouterr().out
    assert "epoch 1/40:" not in said  # it was not trained again
    assert "epoch 40/40:" in said
    resumed = weights.read_bytes()
    assert list((scaled / "models").iterdir()) == [weights]
    call_stage(scaled, "train", "conv")
    assert weights.read_bytes() == resumed


def test_train_names_what_is_missing(stage_error: Callable[..., str]) -> None:
    assert "small" in stage_error("train", "smal", status=2)
    assert "model" in stage_error("train", status=2)
    assert "data/flat/info.json" in stage_error("train", "small")
