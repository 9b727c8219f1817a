"""stages/train.py as its real command: one model of params.yaml."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from src.cli import InputError
from tests.conftest import PARAMS, REPO, RunStage, call_stage, load_npy, write_raw
from tests.zoo import ZOO

SHAPE = (3, 36, 40)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "params.yaml").write_text(PARAMS)
    write_raw(folder / "data/raw", shape=SHAPE)
    call_stage(folder, "load")
    call_stage(folder, "scale")
    return folder


@pytest.fixture
def scaled(prepared: Path, workspace: Path) -> Path:
    """Return a workspace that is ready to train."""
    shutil.copytree(prepared, workspace, dirs_exist_ok=True)
    return workspace


def scaled_rows(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    grey = torch.from_numpy(load_npy(folder / "data/scaled/x_train.npy"))
    labels = torch.from_numpy(load_npy(folder / "data/flat/y_train.npy"))
    return grey.view(-1, 1, *SHAPE[1:]).repeat(1, 3, 1, 1), labels


def plain_training(network: nn.Module, folder: Path, lr: float, size: int) -> list[float]:
    """Train for two epochs as anybody would; return the loss of each epoch's last batch."""
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    x, y = scaled_rows(folder)
    last = []
    for _ in range(2):
        for images, labels in zip(x.split(size), y.split(size), strict=True):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
        last.append(loss.item())
    return last


def test_train_of_every_network_of_the_zoo_is_one_file_and_six_lines(scaled: Path) -> None:
    """Each network is a new file in src/models of a copy of the project, and a group in params."""
    shutil.copytree(REPO / "src", scaled / "src")
    shutil.copytree(REPO / "stages", scaled / "stages")
    models = ""
    for name in ZOO:
        (scaled / f"src/models/my_{name}.py").write_text(
            f"from tests.zoo import ZOO\n\nmake_network = ZOO[{name!r}]\n"
        )
        models += f"  {name}:\n    arch: my_{name}\n    lr: 0.01\n    batch_size: 5\n"
    params = scaled / "params.yaml"
    params.write_text(PARAMS.replace("studies:", f"{models}studies:"))
    code = (
        "import sys; from src.cli import run; from stages import train\n"
        f"for sys.argv[1:] in {[[name] for name in ZOO]}: run(train.main)"
    )
    path = os.pathsep.join([str(scaled), str(REPO)])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=scaled, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0
    for name, make in ZOO.items():
        torch.manual_seed(3)
        network = make(SHAPE, 3)
        losses = plain_training(network, scaled, lr=0.01, size=5)
        saved = load_file(scaled / f"models/{name}.safetensors")
        assert saved.keys() == network.state_dict().keys()
        for key, expected in network.state_dict().items():
            torch.testing.assert_close(saved[key], expected, rtol=1e-4, atol=1e-5)
        with (scaled / f"plots/history/{name}.csv").open() as file:
            history = list(csv.DictReader(file))
        assert [float(row["last_batch_loss"]) for row in history] == pytest.approx(losses, rel=1e-3)


def test_train_gives_equal_models_equal_weights_and_nothing_else(
    scaled: Path, run_stage: RunStage
) -> None:
    call_stage(scaled, "train", "conv")
    run_stage("train", "conv_again")  # in another process
    files = sorted(path.name for path in (scaled / "models").iterdir())
    assert files == ["conv.safetensors", "conv_again.safetensors"]
    a, b = ((scaled / "models" / file).read_bytes() for file in files)
    assert a == b


def test_train_of_a_learning_rate_that_diverges_stops_after_one_epoch(
    scaled: Path,
) -> None:
    call_stage(scaled, "train", "conv_hot")
    with (scaled / "plots/history/conv_hot.csv").open() as file:
        (epoch,) = csv.DictReader(file)
    assert np.isnan(float(epoch["train_loss"]))
    state = load_file(scaled / "models/conv_hot.safetensors")
    assert all(tensor.isnan().all() for tensor in state.values())


def test_train_killed_after_a_checkpoint_resumes_to_the_same_bytes(
    scaled: Path,
) -> None:
    (scaled / "params.yaml").write_text(PARAMS.replace("epochs: 2", "epochs: 40"))
    code = (  # the stage, with a checkpoint after every epoch
        "import sys; from src.cli import run; from stages import train\n"
        "train.Checkpoint.__init__.__defaults__ = (0,); sys.argv = ['train', 'conv']\n"
        "run(train.main)"
    )

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code], cwd=scaled, env={**os.environ, "PYTHONPATH": str(REPO)},
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    process = start()
    while not list(scaled.glob("models/conv.*.checkpoint")):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (scaled / "models/conv.safetensors").exists()
    said, _ = start().communicate()
    assert "epoch 1/40:" not in said  # it was not trained again
    assert "epoch 40/40:" in said
    resumed = (scaled / "models/conv.safetensors").read_bytes()
    assert not list(scaled.rglob("*.checkpoint*"))
    call_stage(scaled, "train", "conv")
    assert (scaled / "models/conv.safetensors").read_bytes() == resumed


def test_train_of_an_image_too_small_names_the_smallest(
    workspace: Path, stage_error: Callable[..., str]
) -> None:
    write_raw(workspace / "data/raw", shape=(3, 35, 60))
    call_stage(workspace, "load")
    call_stage(workspace, "scale")
    assert "36 x 36" in stage_error("train", "conv")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["smal"], "small"), ([], "model"), (["small"], "data/flat/info.json")],
)
def test_train_names_what_is_missing(workspace: Path, arguments: list[str], named: str) -> None:
    with pytest.raises(InputError, match=named):
        call_stage(workspace, "train", *arguments)
