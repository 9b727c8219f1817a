"""stages/train.py as its real command: one model of params.yaml."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mri_stages.storage.files import read_csv
from mri_stages.storage.history import Epoch
from tests.helpers.networks import ZOO
from tests.helpers.params import write_params
from tests.helpers.plain_training import make_recipe, train_plainly
from tests.helpers.project import REPO
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import call_stage, load_npy, make_environment

SHAPE = (3, 36, 40)


@pytest.fixture
def scaled(workspace: Path) -> Path:
    """Return a workspace that is ready to train."""
    write_raw(workspace / "data/raw", shape=SHAPE)
    call_stage(workspace, "load")
    call_stage(workspace, "scale")
    return workspace


@pytest.mark.slow
def test_train_takes_a_network_in_one_new_file(scaled: Path) -> None:
    """Each network is a new file in `models` of a copy of the project, and a group in params."""
    for folder in ("src", "stages"):
        shutil.copytree(REPO / folder, scaled / folder)
    changes: dict[str, Any] = {}
    for name in ZOO:
        code = f"from tests.helpers.networks import ZOO\n\nmake_network = ZOO[{name!r}]\n"
        (scaled / f"src/mri_stages/models/my_{name}.py").write_text(code)
        changes[f"models.{name}"] = {"arch": f"my_{name}", "lr": 0.01, "batch_size": 5}
    write_params(scaled, changes)
    train_models(scaled, *ZOO)

    grey = torch.from_numpy(load_npy(scaled / "data/scaled/x_train.npy")).view(-1, 1, *SHAPE[1:])
    images = grey.repeat(1, 3, 1, 1)
    labels = torch.from_numpy(load_npy(scaled / "data/flat/y_train.npy"))
    recipe = make_recipe(lr=0.01, epochs=2)
    for name, make_network in ZOO.items():
        torch.manual_seed(3)
        network = make_network(SHAPE, 3)
        # In float32 a larger rate would make much of the rounding, which differs between CPUs.
        expected = train_plainly(network, images, labels, recipe)
        weights = load_file(scaled / f"models/{name}.safetensors")
        torch.testing.assert_close(weights, dict(network.state_dict()), rtol=1e-4, atol=1e-5)
        history = read_csv(scaled / f"plots/history/{name}.csv", Epoch)
        expected_losses = [row.last_batch_loss for row in expected]
        assert [row.last_batch_loss for row in history] == pytest.approx(expected_losses, rel=1e-3)


def train_models(folder: Path, *names: str) -> None:
    """Run the stage for each model, in one process that runs the code of `folder`."""
    code = (
        "import sys; from stages import train\n"
        f"for name in {names}:\n"
        "    sys.argv = ['train', name]\n"
        "    train.main()\n"
    )
    environment = make_environment()
    environment["PYTHONPATH"] = f"{folder}{os.pathsep}{environment['PYTHONPATH']}"
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True)


def test_train_and_evaluate_on_the_fly_give_the_same_bytes(workspace: Path) -> None:
    write_raw(workspace / "data/raw", shape=SHAPE)
    call_stage(workspace, "load")
    outs = []
    for scaled in ("saved", "on_the_fly"):
        write_params(workspace, {"data.scaled": scaled})
        for stage in (["scale"], ["train", "small"], ["evaluate", "small"]):
            call_stage(workspace, *stage)
        files = ("models/small.safetensors", "plots/history/small.csv", "metrics/small.json")
        outs.append([(workspace / file).read_bytes() for file in files])
    assert outs[0] == outs[1]


@pytest.mark.slow
def test_train_killed_after_a_checkpoint_resumes_to_the_same_bytes(
    scaled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params(scaled, {"train.epochs": 40})
    code = (
        "import sys; from stages import train; from mri_stages.training import checkpoint\n"
        "checkpoint.SECONDS_BETWEEN_CHECKPOINTS = 0; sys.argv = ['train', 'conv']\n"
        "train.main()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=scaled, env=make_environment())
    while not list(scaled.glob("models/conv.*.checkpoint")):
        assert process.poll() is None
    process.kill()
    assert process.wait() == -signal.SIGKILL
    weights = scaled / "models/conv.safetensors"
    assert not weights.exists()
    call_stage(scaled, "train", "conv")
    output = capsys.readouterr().out
    assert "epoch 1/40:" not in output  # it was not trained again
    assert "epoch 40/40:" in output
    resumed = weights.read_bytes()
    assert list((scaled / "models").iterdir()) == [weights]
    call_stage(scaled, "train", "conv")
    assert weights.read_bytes() == resumed


def test_train_names_what_is_missing(stage_error: Callable[..., str]) -> None:
    assert "small" in stage_error("train", "smal", status=2)
    assert "model" in stage_error("train", status=2)
    assert "data/flat/info.json" in stage_error("train", "small")
