"""A training that was killed goes on from its last finished epoch, to the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file, save

from src.checkpoint import Checkpoint, checksum
from src.networks import NETWORKS
from src.params import Arch
from src.training import Epoch, train
from tests.conftest import PARAMS, RunStage, write_raw

SHAPE, ROWS, EPOCHS = (3, 36, 40), 23, 4


def trained(
    arch: Arch,
    shuffle: bool,
    epochs: int,
    checkpoint: Checkpoint | None = None,
    equal_channels: bool = True,
) -> tuple[dict[str, torch.Tensor], list[Epoch]]:
    """Weights and history of a fresh network on random rows."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, 1 if equal_channels else 3, *SHAPE[1:], generator=generator)
    x[:, :, :6] = 0
    torch.manual_seed(0)
    network = NETWORKS[arch](SHAPE, 4)
    history = train(
        network, x.expand(-1, 3, -1, -1), torch.arange(ROWS) % 4,
        lr=0.01, batch_size=5, epochs=epochs, shuffle=shuffle, seed=0, checkpoint=checkpoint,
    )  # fmt: skip
    return network.state_dict(), history


@pytest.mark.parametrize("arch", get_args(Arch))
@pytest.mark.parametrize(("shuffle", "equal"), [(False, True), (True, True), (False, False)])
def test_a_resumed_training_ends_in_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, arch: Arch, shuffle: bool, equal: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state"
    expected, history = trained(arch, shuffle, EPOCHS, equal_channels=equal)
    for stop in (2, 3):  # the last epoch of a run leaves no checkpoint, the one before it does
        trained(arch, shuffle, stop, Checkpoint(path, seconds=0), equal_channels=equal)
    weights, resumed = trained(arch, shuffle, EPOCHS, Checkpoint(path), equal_channels=equal)
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: going on behind epoch 0",
        f"{path}: going on behind epoch 1",
    ]
    assert resumed == history
    for name in expected:
        assert weights[name].numpy().tobytes() == expected[name].numpy().tobytes(), name


@pytest.mark.parametrize(("seconds", "epochs"), [(30, 1), (0, EPOCHS - 1)])
def test_it_is_written_after_the_first_epoch_and_then_once_in_the_interval(
    tmp_path: Path, seconds: float, epochs: int
) -> None:
    trained("SimpleNN2", False, EPOCHS, Checkpoint(tmp_path / "state", seconds))
    assert load_file(tmp_path / "state")["history"].shape == (epochs, len(Epoch._fields))


def test_a_damaged_checkpoint_is_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state"
    expected, _ = trained("SimpleNN2", True, EPOCHS)
    trained("SimpleNN2", True, 3, Checkpoint(path, seconds=0))
    good = path.read_bytes()
    size, step = len(good), len(good) // 40
    spoilt = [good[:end] for end in (0, 7, 8, 100, size // 2, size - 1)]
    for i in (0, 8, 9, 20, *range(64, size, step), size - 1):
        spoilt.append(good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :])
    spoilt += [good + b"x", os.urandom(1000)]
    spoilt += of_other_kinds(path)
    for content in spoilt:
        path.write_bytes(content)
        network = NETWORKS["SimpleNN2"](SHAPE, 4)
        assert Checkpoint(path).restore(network, torch.Generator()) == []
        assert "damaged, so training starts from zero" in capsys.readouterr().out
    weights, _ = trained("SimpleNN2", True, EPOCHS, Checkpoint(path))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def of_other_kinds(path: Path) -> list[bytes]:
    """The file with a tensor of another dtype or shape, or none, and a checksum that is right."""
    made = []
    for name in ("history", "generator", "layers.1.bias"):
        for change in (torch.Tensor.double, lambda tensor: tensor[:-1], torch.Tensor.char, None):
            state = load_file(path)
            tensor = state.pop(name)
            if change is not None:
                state[name] = change(tensor)
            if name != "history" or change not in (torch.Tensor.double,):
                made.append(save(state, {"sha256": checksum(state)}))
    return made


def test_without_room_for_a_checkpoint_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource", reason="no limits on Windows")
    expected, _ = trained("SimpleNN2", True, EPOCHS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        weights, _ = trained("SimpleNN2", True, EPOCHS, Checkpoint(tmp_path / "state", seconds=0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "note: no checkpoint: " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_fingerprint_changes_with_values_data_and_code(repo: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(repo / "src", copy / "src")
    data = tmp_path / "data"
    data.write_bytes(b"1")
    code = (
        "import sys, torch; from pathlib import Path; from src.checkpoint import fingerprint;"
        "print(fingerprint({'lr': 1}, [Path(sys.argv[1])], torch.device('cpu')))"
    )

    def key(of: str = code) -> str:
        command = [sys.executable, "-c", of, str(data)]
        return subprocess.run(command, cwd=copy, capture_output=True, text=True, check=True).stdout

    first = key()
    assert key() == first
    keys = {first, key(code.replace("'lr': 1", "'lr': 2"))}
    data.write_bytes(b"2")
    keys.add(key())
    with (copy / "src/files.py").open("a") as file:
        file.write("# changed\n")
    keys.add(key())
    assert len(keys) == 4
    with (copy / "src/phantoms.py").open("a") as file:  # not imported
        file.write("# changed\n")
    assert key() in keys


@pytest.fixture
def scaled(workspace: Path, run_stage: RunStage) -> Path:
    """A workspace that is ready to train `conv` for 60 epochs: some seconds."""
    write_raw(workspace / "data/raw")
    (workspace / "params.yaml").write_text(PARAMS.replace("epochs: 2", "epochs: 60"))
    run_stage("load")
    run_stage("scale")
    return workspace


def kill_at_the_first_checkpoint(folder: Path, repo: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.train", "conv"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(repo)},
    )
    while not list(folder.glob("models/conv.*.checkpoint")):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def outs(folder: Path) -> list[bytes]:
    names = ("models/conv.safetensors", "plots/history/conv.csv")
    return [(folder / name).read_bytes() for name in names]


def test_a_killed_stage_goes_on_to_the_same_bytes_and_leaves_no_checkpoint(
    scaled: Path, repo: Path, run_stage: RunStage
) -> None:
    kill_at_the_first_checkpoint(scaled, repo)
    assert not (scaled / "models/conv.safetensors").exists()
    assert "checkpoint: going on behind epoch" in run_stage("train", "conv").stdout
    resumed = outs(scaled)
    assert not list(scaled.rglob("*.checkpoint*"))
    assert "going on" not in run_stage("train", "conv").stdout
    assert outs(scaled) == resumed


def test_a_checkpoint_of_other_params_is_ignored_and_goes_in_the_end(
    scaled: Path, repo: Path, run_stage: RunStage
) -> None:
    kill_at_the_first_checkpoint(scaled, repo)
    params = scaled / "params.yaml"
    params.write_text(params.read_text().replace("epochs: 60", "epochs: 2"))
    assert "going on" not in run_stage("train", "conv").stdout
    assert len(outs(scaled)[1].splitlines()) == 3
    assert not list(scaled.rglob("*.checkpoint*"))
